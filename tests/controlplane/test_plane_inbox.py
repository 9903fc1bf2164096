"""What is new in a status is written at once, and a heartbeat costs next to nothing."""

from __future__ import annotations

import asyncio

import pytest

from controlplane.acks import Key, Report
from controlplane.plane import inbox as inboxes
from controlplane.plane.inbox import Crowded, Inbox, NoRoom


def key(uid: str) -> Key:
    return Key(1, "prod", "checkout", uid)


def report(uid: str, version: int) -> Report:
    return Report(
        uid, "b1", "checkout", "prod", state="APPLIED", received_version=version
    )


class Rows:
    """Stands for the database: every batch that was written, in order."""

    def __init__(self) -> None:
        self.batches: list[dict[Key, Report]] = []
        self.streams: list[tuple[set[Key], set[Key]]] = []
        self.known: set[Key] = set()
        self.refused: set[Key] = set()
        self.broken = False

    async def write_reports(self, reports):
        await asyncio.sleep(0.001)
        if self.broken:
            raise OSError
        self.batches.append(dict(reports))
        return self.refused & reports.keys()

    async def write_streams(self, opened, closed):
        self.streams.append((set(opened), set(closed)))
        return set(opened) - self.known


def run(script, monkeypatch, *, seldom=0.05) -> Rows:
    monkeypatch.setattr(inboxes, "SELDOM_S", seldom)

    async def scene():
        rows = Rows()
        inbox = Inbox(rows.write_reports, rows.write_streams)
        writing = asyncio.create_task(inbox.run())
        await script(inbox, rows)
        writing.cancel()
        return rows

    return asyncio.run(scene())


def test_it_is_answered_when_it_is_written(monkeypatch):
    async def script(inbox, rows):
        await inbox.hand_in(key("i1"), report("i1", 42))
        assert rows.batches == [{key("i1"): report("i1", 42)}]

    run(script, monkeypatch)


def test_a_thousand_that_come_together_are_written_together(monkeypatch):
    async def script(inbox, rows):
        uids = [f"i{number}" for number in range(1000)]
        await asyncio.gather(
            *(inbox.hand_in(key(uid), report(uid, 42)) for uid in uids)
        )

    rows = run(script, monkeypatch)

    assert len(rows.batches) == 1
    assert len(rows.batches[0]) == 1000


def test_heartbeats_are_answered_from_memory_and_written_once_for_all(monkeypatch):
    async def script(inbox, rows):
        uids = [f"i{number}" for number in range(100)]
        for _ in range(5):
            for uid in uids:
                await inbox.hand_in(key(uid), report(uid, 42))
        await asyncio.sleep(0.2)

    rows = run(script, monkeypatch)

    # The first round is news, one by one; the other four are one batch.
    assert [len(batch) for batch in rows.batches] == [1] * 100 + [100]


def test_news_after_heartbeats_wins_and_is_written_at_once(monkeypatch):
    async def script(inbox, rows):
        await inbox.hand_in(key("i1"), report("i1", 42))
        await inbox.hand_in(key("i1"), report("i1", 42))
        await inbox.hand_in(key("i1"), report("i1", 43))

    rows = run(script, monkeypatch, seldom=60)

    assert [batch[key("i1")].received_version for batch in rows.batches] == [42, 43]


def test_when_it_cannot_be_written_the_sender_learns_it_and_may_try_again(monkeypatch):
    async def script(inbox, rows):
        rows.broken = True
        with pytest.raises(OSError):  # noqa: PT011  it has no words
            await inbox.hand_in(key("i1"), report("i1", 42))
        rows.broken = False
        await inbox.hand_in(key("i1"), report("i1", 42))

    rows = run(script, monkeypatch)

    assert len(rows.batches) == 1


def test_a_sender_without_room_is_told_and_its_neighbour_is_written(monkeypatch):
    async def script(inbox, rows):
        rows.refused = {key("i1")}
        one, other = await asyncio.gather(
            inbox.hand_in(key("i1"), report("i1", 42)),
            inbox.hand_in(key("i2"), report("i2", 42)),
            return_exceptions=True,
        )
        assert isinstance(one, NoRoom)
        assert other is None

    run(script, monkeypatch)


def test_more_than_it_can_hold_is_refused(monkeypatch):
    monkeypatch.setattr(inboxes, "MOST_WAITING", 3)

    async def script(inbox, rows):
        handing = [
            asyncio.create_task(inbox.hand_in(key(uid), report(uid, 42)))
            for uid in ("i1", "i2", "i3")
        ]
        await asyncio.sleep(0)
        with pytest.raises(Crowded):
            await inbox.hand_in(key("i4"), report("i4", 42))
        await asyncio.gather(*handing)

    run(script, monkeypatch)


def test_what_it_remembers_is_bounded(monkeypatch):
    monkeypatch.setattr(inboxes, "MOST_KNOWN", 10)

    async def script(inbox, rows):
        for number in range(50):
            await inbox.hand_in(key(f"i{number}"), report(f"i{number}", 42))
        assert len(inbox._said) == 10

    run(script, monkeypatch)


def test_streams_of_instances_nobody_knows_yet_are_said_again(monkeypatch):
    async def script(inbox, rows):
        inbox.opened(key("i1"))
        await asyncio.sleep(0.1)
        rows.known.add(key("i1"))
        await inbox.hand_in(key("i1"), report("i1", 42))
        inbox.closed(key("i1"))
        await asyncio.sleep(0.1)

    rows = run(script, monkeypatch)

    mine = {key("i1")}
    assert rows.streams == [(mine, set()), (mine, set()), (set(), mine)]


def test_of_two_streams_of_an_instance_the_last_to_end_counts(monkeypatch):
    async def script(inbox, rows):
        rows.known.add(key("i1"))
        inbox.opened(key("i1"))
        inbox.opened(key("i1"))
        inbox.closed(key("i1"))
        await asyncio.sleep(0.1)
        inbox.closed(key("i1"))
        await asyncio.sleep(0.1)

    rows = run(script, monkeypatch)

    assert rows.streams == [({key("i1")}, set()), (set(), {key("i1")})]
