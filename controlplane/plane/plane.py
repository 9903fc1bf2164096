"""The plane of one event loop: its hub, its inbox, and what it does now and then."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from itertools import islice
from weakref import WeakKeyDictionary

from django.db.models import OuterRef, Subquery
from django.utils import timezone

from controlplane import hints, keys
from controlplane.acks import Key, Report
from controlplane.actions import instances
from controlplane.models import Environment, PolicyVersion
from controlplane.plane import threads
from controlplane.plane.admission import Admission, reconnect_after_ms
from controlplane.plane.hub import CHECK_KEYS_EVERY_S, LOOK_EVERY_S, Hub
from controlplane.plane.inbox import Inbox
from controlplane.plane.snapshots import Snapshots

logger = logging.getLogger(__name__)

SCOPE = "policy"
STREAMS_AGAIN_S = 60.0
FORGET_EVERY_S = 3600.0
MOST_AT_ONCE = 1_000  # statuses in one transaction


class Plane:
    def __init__(self) -> None:
        self.snapshots = Snapshots()
        self.hub = Hub(self.snapshots.get, newest_versions, usable_keys)
        self.inbox = Inbox(write_reports, write_streams)
        self.admission = Admission()
        self.leaving: tuple[int, int] | None = None
        self._unsubscribe = hints.subscribe(hints.Topic.POLICY, self._heard)
        every = self._every
        self._tasks = [
            asyncio.create_task(work)
            for work in (
                self.inbox.run(),
                every(LOOK_EVERY_S, self.hub.look),
                every(CHECK_KEYS_EVERY_S, self.hub.check_keys),
                every(STREAMS_AGAIN_S, self._say_streams_again),
                every(FORGET_EVERY_S, forget_instances),
            )
        ]

    def drain(self) -> None:
        """Send everybody away, spread over the time others need to take them."""
        self.leaving = reconnect_after_ms(len(self.hub))
        self.hub.drain(self.leaving)

    async def close(self) -> None:
        self._unsubscribe()
        self.hub.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # What was answered from memory until now.
        await self.inbox.flush()

    def _heard(self, hint: hints.Hint) -> None:
        self.hub.hint((hint.project_id, hint.environment), hint.version)

    async def _say_streams_again(self) -> None:
        self.inbox.say_streams_again()

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        is_failing = False
        while True:
            # Processes that started together need not look together.
            await asyncio.sleep(seconds * random.uniform(0.8, 1.2))  # noqa: S311
            try:
                await work()
            except Exception:
                # Said once: a database may be away for long.
                if not is_failing:
                    logger.exception("plane.work_failed")
                is_failing = True
            else:
                is_failing = False


_planes: WeakKeyDictionary[asyncio.AbstractEventLoop, Plane] = WeakKeyDictionary()


def current() -> Plane:
    """The plane of the running loop; made on first use."""
    loop = asyncio.get_running_loop()
    if loop not in _planes:
        _planes[loop] = Plane()
    return _planes[loop]


async def close() -> None:
    plane = _planes.pop(asyncio.get_running_loop(), None)
    if plane is not None:
        await plane.close()


async def newest_versions(
    environments: Collection[tuple[int, str]],
) -> dict[tuple[int, str], int]:
    return await threads.reading(partial(read_newest, environments))


def read_newest(
    environments: Collection[tuple[int, str]],
) -> dict[tuple[int, str], int]:
    numbers = PolicyVersion.objects.filter(environment=OuterRef("pk"))
    newest = numbers.order_by("-number").values("number")[:1]
    found = Environment.objects.filter(
        project_id__in={project_id for project_id, _ in environments},
        name__in={name for _, name in environments},
    )
    rows = found.annotate(newest=Subquery(newest)).exclude(newest=None)
    return {
        (project_id, name): number
        for project_id, name, number in rows.values_list("project_id", "name", "newest")
    }


async def usable_keys(digests: Collection[str]) -> Collection[str]:
    return await threads.reading(partial(keys.usable_digests, digests, SCOPE))


async def write_reports(reports: Mapping[Key, Report]) -> Collection[Key]:
    refused: set[Key] = set()
    everything = iter(reports.items())
    # In parts: a database takes so many values in one question.
    while part := dict(islice(everything, MOST_AT_ONCE)):
        write = partial(instances.record_reports, part, now=timezone.now())
        refused |= await threads.writing(write)
    return refused


async def write_streams(
    opened: Collection[Key], closed: Collection[Key]
) -> Collection[Key]:
    write = partial(instances.record_streams, opened, closed, now=timezone.now())
    return await threads.writing(write)


async def forget_instances() -> None:
    await threads.writing(partial(instances.forget_instances, now=timezone.now()))
