"""The socket of a live page, spoken to as a browser does."""

from __future__ import annotations

import asyncio
import json

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth import get_user_model
from django.test import Client

from controlplane.models import Membership, Role
from controlplane.routing import websocket
from dashboards import consumers, streams
from dashboards.consumers import LONGEST_MESSAGE, NOT_A_MEMBER, NOT_UNDERSTOOD
from dashboards.live import apply
from ingest import live as announcements

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def member(project, user):
    Membership.objects.create(project=project, user=user, role=Role.VIEWER)
    return user


@pytest.fixture
def numbers(monkeypatch):
    """The state a view would have; a test changes it and announces."""
    state = {"calls": 1}

    async def compute(project_id, view):
        if "error" in state:
            raise RuntimeError(state["error"])
        return {**state, "range": view.range, "project": project_id}

    monkeypatch.setattr(streams, "EVERY_S", 0.01)
    monkeypatch.setattr(streams, "REFRESHES_PER_STEP", 10**6)
    monkeypatch.setattr(announcements, "EVERY_S", 0.01)
    monkeypatch.setattr(consumers, "CHECK_EVERY_S", 0.2)
    monkeypatch.setattr(consumers, "hub", lambda: hub_of_loop(compute))
    return state


def hub_of_loop(compute):
    loop = asyncio.get_running_loop()
    return streams._hubs.setdefault(loop, streams.Hub(compute))


class Viewer:
    """One browser tab: keeps what it was sent, as ``static/js/changes.js`` does."""

    def __init__(self, user, project):
        client = Client()
        client.force_login(user)
        self.session = client.session
        cookie = f"switchgear_session={client.cookies['switchgear_session'].value}"
        self.scope = {
            "type": "websocket",
            "path": "/ws/live/",
            "query_string": f"project={project.slug}".encode(),
            "headers": [(b"cookie", cookie.encode()), (b"host", b"testserver")],
            "subprotocols": [],
        }
        self.state, self.seq, self.epoch = None, 0, ""

    async def open(self):
        self.app = ApplicationCommunicator(websocket, self.scope)
        await self.app.send_input({"type": "websocket.connect"})
        assert (await self.app.receive_output(5))["type"] == "websocket.accept"

    async def connect(self, query="", *, seq=0, epoch=""):
        await self.open()
        await self.ask(query, seq=seq, epoch=epoch)

    async def say(self, text):
        await self.app.send_input({"type": "websocket.receive", "text": text})

    async def ask(self, query="", *, seq=0, epoch=""):
        view = {"type": "view", "query": query, "seq": seq, "epoch": epoch}
        await self.say(json.dumps(view))

    async def hear_anything(self):
        output = await self.app.receive_output(5)
        if output["type"] == "websocket.close":
            return {"type": "closed", "code": output["code"]}
        return json.loads(output["text"])

    async def hear(self):
        """The next message that says something."""
        while (message := await self.hear_anything())["type"] == "alive":
            pass
        if message["type"] == "snapshot":
            self.state, self.epoch = message["state"], message["epoch"]
        elif message["type"] == "changes":
            assert message["from"] == self.seq
            self.state = apply(self.state, message["changes"])
        self.seq = message.get("seq", self.seq)
        return message

    async def leave(self):
        await self.app.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.app.wait(5)


def run(story):
    async def told():
        try:
            await story()
        finally:
            hub = streams._hubs.pop(asyncio.get_running_loop(), None)
            if hub is not None:
                await hub.close()

    async_to_sync(told)()


def test_a_snapshot_comes_first_and_then_only_what_changed(member, project, numbers):
    viewer = Viewer(member, project)

    async def story():
        await viewer.connect("range=6h")
        first = await viewer.hear()
        assert first["type"] == "snapshot"
        assert first["state"] == {"calls": 1, "range": "6h", "project": project.pk}

        numbers["calls"] = 2
        announcements.announce([project.pk])
        second = await viewer.hear()
        assert second["changes"] == [["=", ["calls"], 2]]
        await viewer.leave()

    run(story)


def test_fetch_and_messages_give_what_a_new_fetch_gives(member, project, numbers):
    old, new = Viewer(member, project), Viewer(member, project)

    async def story():
        await old.connect()
        await old.hear()
        for number in range(2, 6):
            numbers["calls"] = number
            numbers["row"] = {"of": list(range(number))}
            announcements.announce([project.pk])
            await old.hear()

        await new.connect()
        await new.hear()
        assert (new.state, new.seq, new.epoch) == (old.state, old.seq, old.epoch)
        await old.leave()
        await new.leave()

    run(story)


def test_who_comes_back_gets_what_he_missed(member, project, numbers):
    viewer, again = Viewer(member, project), Viewer(member, project)

    async def story():
        await viewer.connect()
        await viewer.hear()
        await viewer.leave()
        numbers["calls"] = 7
        announcements.announce([project.pk])
        await asyncio.sleep(0.2)

        again.state, again.seq, again.epoch = viewer.state, viewer.seq, viewer.epoch
        await again.connect(seq=viewer.seq, epoch=viewer.epoch)
        message = await again.hear()
        assert message["type"] == "changes"
        assert again.state["calls"] == 7
        await again.leave()

    run(story)


def test_news_of_another_project_wake_nobody(member, project, numbers):
    viewer = Viewer(member, project)

    async def story():
        await viewer.connect()
        await viewer.hear()
        numbers["calls"] = 2
        announcements.announce([project.pk + 1])
        # A sign of life comes when nothing else did.
        assert (await viewer.hear_anything())["type"] == "alive"
        await viewer.leave()

    run(story)


def test_another_view_is_another_stream_on_the_same_socket(member, project, numbers):
    viewer = Viewer(member, project)

    async def story():
        await viewer.connect()
        await viewer.hear()
        epoch = viewer.epoch
        await viewer.ask("range=24h&tenant=acme")
        message = await viewer.hear()
        assert message["type"] == "snapshot"
        assert message["state"]["range"] == "24h"
        assert viewer.epoch != epoch
        await viewer.leave()

    run(story)


def test_a_view_that_does_not_exist_is_refused_and_the_old_one_stays(
    member, project, numbers
):
    viewer = Viewer(member, project)

    async def story():
        await viewer.connect()
        await viewer.hear()
        await viewer.ask("range=2h")
        assert "range must be one of" in (await viewer.hear())["message"]
        numbers["calls"] = 2
        announcements.announce([project.pk])
        assert (await viewer.hear())["type"] == "changes"
        await viewer.leave()

    run(story)


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"type": "policy"}', '{"type": "view"}', "{" * LONGEST_MESSAGE],
    ids=lambda text: text[:12],
)
def test_what_is_not_a_message_ends_the_conversation(member, project, numbers, text):
    viewer = Viewer(member, project)

    async def story():
        await viewer.open()
        await viewer.say(text)
        assert await viewer.hear() == {"type": "closed", "code": NOT_UNDERSTOOD}

    run(story)


def test_trouble_is_told_and_the_numbers_stay(member, project, numbers, caplog):
    viewer = Viewer(member, project)

    async def story():
        await viewer.connect()
        await viewer.hear()
        numbers["error"] = "database is locked"
        announcements.announce([project.pk])
        assert (await viewer.hear())["type"] == "trouble"

        del numbers["error"]
        numbers["calls"] = 3
        announcements.announce([project.pk])
        assert (await viewer.hear())["changes"] == [["=", ["calls"], 3]]
        await viewer.leave()

    run(story)
    assert "board.compute_failed" in caplog.text


def test_a_stranger_gets_nothing(project, numbers):
    stranger = get_user_model().objects.create_user("eve", password="x")
    viewer = Viewer(stranger, project)

    async def story():
        await viewer.open()
        assert await viewer.hear() == {"type": "closed", "code": NOT_A_MEMBER}

    run(story)


@pytest.mark.parametrize("loss", ["membership", "account", "session"])
def test_who_loses_access_is_cut_off(member, project, numbers, loss):
    viewer = Viewer(member, project)

    def lose():
        if loss == "membership":
            Membership.objects.all().delete()
        elif loss == "account":
            get_user_model().objects.update(is_active=False)
        else:
            viewer.session.flush()

    async def story():
        await viewer.connect()
        await viewer.hear()
        await consumers.database_sync_to_async(lose)()
        assert await viewer.hear() == {"type": "closed", "code": NOT_A_MEMBER}

    run(story)


def test_too_many_views_are_refused_and_not_kept(member, project, numbers, monkeypatch):
    monkeypatch.setattr(streams, "MOST_STREAMS", 1)
    viewer = Viewer(member, project)

    async def story():
        await viewer.connect()
        await viewer.hear()
        await viewer.ask("range=6h")
        assert (await viewer.hear())["type"] == "refused"
        await viewer.leave()

    run(story)


def test_a_viewer_who_reads_slowly_gets_the_latest_and_no_queue(
    member, project, numbers, monkeypatch
):
    viewer = Viewer(member, project)
    send = consumers.LiveBoard.send

    async def story():
        wire_is_free = asyncio.Event()
        wire_is_free.set()

        async def slow_send(self, *args, **kwargs):
            await wire_is_free.wait()
            await send(self, *args, **kwargs)

        monkeypatch.setattr(consumers.LiveBoard, "send", slow_send)
        await viewer.connect()
        await viewer.hear()
        stream = next(iter(hub_of_loop(None)._streams.values()))
        journal = stream.journal
        news = asyncio.Event()
        stream.waiting.add(news)
        wire_is_free.clear()
        for number in range(2, 8):
            numbers["calls"] = number
            announcements.announce([project.pk])
            await news.wait()
            news.clear()

        wire_is_free.set()
        heard = [await viewer.hear()]
        if viewer.seq < journal.seq:  # one was on its way before the rest happened
            heard.append(await viewer.hear())
        assert viewer.state == journal.state
        assert journal.seq - heard[0]["from"] == 6
        await viewer.leave()

    run(story)


def test_a_message_is_written_once_for_all_who_wait(member, project, numbers):
    viewers = [Viewer(member, project) for _ in range(5)]

    async def story():
        for viewer in viewers:
            await viewer.connect()
            await viewer.hear()
        stream = next(iter(hub_of_loop(None)._streams.values()))
        numbers["calls"] = 2
        announcements.announce([project.pk])
        heard = [json.dumps(await viewer.hear()) for viewer in viewers]
        assert len(set(heard)) == 1
        assert len(stream.journal._written) == 1
        for viewer in viewers:
            await viewer.leave()

    run(story)
