"""Streams and long polls queue nothing, and give what there is when it is wanted."""

from __future__ import annotations

import asyncio

import pytest

from controlplane.plane.members import LongPoll, Stream
from tests.controlplane.planes import snapshot


def text_of(sent: list[dict]) -> str:
    return b"".join(message.get("body", b"") for message in sent).decode()


async def run_stream(stream: Stream, script, sent: list[dict], *, slow=None) -> None:
    gone = asyncio.Event()

    async def receive():
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if slow is not None:
            await slow.wait()
        sent.append(message)

    running = asyncio.create_task(stream.run(receive, send))
    await asyncio.sleep(0.01)
    await script()
    await asyncio.sleep(0.01)
    gone.set()
    await running


def test_a_stream_tells_each_version_once_and_none_backwards():
    stream, sent = Stream("k1", "i1"), []

    async def script():
        for version in (1, 1, 3, 2, 3):
            stream.offer(snapshot(version))
            await asyncio.sleep(0.001)

    asyncio.run(run_stream(stream, script, sent))

    assert text_of(sent).count("event: policy") == 2
    assert text_of(sent).index("id: 1\n") < text_of(sent).index("id: 3\n")


def test_a_slow_reader_gets_only_the_latest():
    stream, sent, ready = Stream("k1", "i1"), [], asyncio.Event()

    async def script():
        for version in range(1, 1001):
            stream.offer(snapshot(version))
        ready.set()

    async def scene():
        await run_stream(stream, script, sent, slow=ready)

    asyncio.run(scene())

    assert text_of(sent).count("event: policy") == 1
    assert "id: 1000\n" in text_of(sent)


def test_a_stream_skips_what_its_instance_refused():
    mine, theirs = [], []

    async def scene(stream, sent):
        async def script():
            stream.offer(snapshot(1))
            await asyncio.sleep(0.001)
            stream.offer(snapshot(2, refused_by=["i1"]))
            await asyncio.sleep(0.001)
            stream.offer(snapshot(3))

        await run_stream(stream, script, sent)

    asyncio.run(scene(Stream("k1", "i1"), mine))
    asyncio.run(scene(Stream("k1", "i2"), theirs))

    assert "id: 2\n" not in text_of(mine)
    assert "id: 3\n" in text_of(mine)
    assert "id: 2\n" in text_of(theirs)


def test_a_stream_with_nothing_to_say_says_so(monkeypatch):
    monkeypatch.setattr("controlplane.plane.members.COMMENT_EVERY_S", 0.02)
    stream, sent = Stream("k1", None), []

    async def script():
        await asyncio.sleep(0.1)

    asyncio.run(run_stream(stream, script, sent))

    assert text_of(sent).count(": still here\n\n") >= 2


def test_a_stream_that_is_drained_says_when_to_come_back_and_ends():
    stream, sent = Stream("k1", None), []

    async def script():
        stream.leave((500, 21_000))

    asyncio.run(run_stream(stream, script, sent))

    assert text_of(sent).endswith(
        'event: drain\ndata: {"reconnect_after_ms":[500,21000]}\n\n'
    )
    assert sent[-1]["more_body"] is False


@pytest.mark.parametrize(
    ("version", "took"), [(1, "all of it"), (2, "no time")], ids=["old", "new"]
)
def test_a_long_poll_waits_for_what_is_new(version, took):
    poll = LongPoll("k1", lambda offered: offered.version > 1)

    async def receive():
        await asyncio.Event().wait()

    async def scene():
        loop = asyncio.get_running_loop()
        began = loop.time()
        loop.call_later(0.01, poll.offer, snapshot(version))
        await poll.run(receive, 0.2)
        return loop.time() - began

    waited = asyncio.run(scene())

    assert (waited >= 0.19) is (took == "all of it")
    assert poll.latest.version == version
