"""The sockets of live pages: a snapshot, then numbered changes, never a gap.

The browser speaks first and may speak again:

    {"type": "view", "query": "range=6h&tenant=acme", "epoch": "...", "seq": 12}

``epoch`` and ``seq`` say what it already holds. Nothing is queued for a viewer: one
that reads slowly gets, when it is ready, what leads from its number to the latest.
Membership is looked up again every few seconds; who lost it is cut off.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.contrib.auth import get_user_model

from controlplane.scope import scope_of_socket
from dashboards import address, rollout
from dashboards.address import BadAddress
from dashboards.streams import Look, Stream, TooManyViews, hub

logger = logging.getLogger(__name__)

NOT_A_MEMBER = 4403
NOT_UNDERSTOOD = 4400
CHECK_EVERY_S = 3.0
LONGEST_MESSAGE = 16_384


class Watching(AsyncJsonWebsocketConsumer):
    """Sends whoever looks what changes in the view he asked for."""

    def view_of(self, asked: dict[str, list[str]]) -> Look:
        """The view an address asks for; ``BadAddress`` when there is no such one."""
        raise NotImplementedError

    async def connect(self) -> None:
        self.stream: Stream | None = None
        self.epoch, self.seq = "", 0
        self.news = asyncio.Event()
        self.sending: asyncio.Task[None] | None = None
        self.project_id = await self._project()
        await self.accept()
        if self.project_id is None:
            await self.close(NOT_A_MEMBER)
            return
        self.sending = asyncio.create_task(self._send())

    async def disconnect(self, code: int) -> None:
        if self.sending is not None:
            self.sending.cancel()
        self._leave()

    async def receive(
        self, text_data: str | None = None, bytes_data: bytes | None = None
    ) -> None:
        if self.project_id is None:
            return
        try:
            message = _message(text_data)
            view = self.view_of(parse_qs(message["query"]))
            held = str(message["epoch"]), int(message["seq"])
        except BadAddress as error:
            await self.send_json({"type": "refused", "message": str(error)})
        except (ValueError, KeyError, TypeError):
            await self.close(NOT_UNDERSTOOD)
        else:
            await self._show(self.project_id, view, held)

    async def _show(self, project_id: int, view: Look, held: tuple[str, int]) -> None:
        self._leave()
        try:
            stream = await hub().stream(project_id, view)
        except TooManyViews:
            text = "Too many different views are open on this server."
            await self.send_json({"type": "refused", "message": text})
            return
        # Subscribed before the state is read: a change in between is sent for sure.
        stream.waiting.add(self.news)
        self.stream = stream
        self.epoch, self.seq = held
        self.news.set()

    def _leave(self) -> None:
        if self.stream is not None:
            self.stream.waiting.discard(self.news)
            self.stream = None

    async def _send(self) -> None:
        try:
            while await self._project() == self.project_id:
                await self._send_for_a_while()
            await self.close(NOT_A_MEMBER)
        except OSError:  # the browser is gone; the disconnect is on its way
            logger.debug("board.viewer_gone")
        except Exception:
            logger.exception("board.socket_failed")
            await self.close()

    async def _send_for_a_while(self) -> None:
        """News as it comes, until it is time to look at the membership again."""
        try:
            async with asyncio.timeout(CHECK_EVERY_S):
                while await self.news.wait():
                    self.news.clear()
                    await self._send_news()
        except TimeoutError:
            await self.send_json({"type": "alive"})

    async def _send_news(self) -> None:
        stream = self.stream
        if stream is None:
            return
        journal = stream.journal
        text = journal.since(self.epoch, self.seq) if journal.seq else None
        # Before anything is awaited: another view may be asked for meanwhile.
        self.epoch, self.seq = journal.epoch, journal.seq
        if stream.trouble:
            await self.send_json({"type": "trouble"})
        if text is not None:
            await self.send(text_data=text)

    async def _project(self) -> int | None:
        # On a thread of its own: the one all others share may be waiting for a lock.
        look = database_sync_to_async(_project_of, thread_sensitive=False)
        found: int | None = await look(self.scope)
        return found


class LiveBoard(Watching):
    def view_of(self, asked: dict[str, list[str]]) -> Look:
        return address.parse(asked)


class RolloutBoard(Watching):
    def view_of(self, asked: dict[str, list[str]]) -> Look:
        return rollout.parse(asked)


def _message(text: str | None) -> dict[str, Any]:
    if not text or len(text) > LONGEST_MESSAGE:
        raise ValueError
    message = json.loads(text)
    if message["type"] != "view":
        raise ValueError
    return dict(message)


def _project_of(scope: dict[str, Any]) -> int | None:
    """The project this socket may see now; nothing once logged out or removed."""
    session = scope["session"]
    if not session.session_key or not session.exists(session.session_key):
        return None
    users = get_user_model().objects
    user = users.filter(pk=scope["user"].pk, is_active=True).first()
    if user is None:
        return None
    found = scope_of_socket({**scope, "user": user})
    return found.project_id if found is not None and found.may("read") else None
