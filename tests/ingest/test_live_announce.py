"""Announcements: from the writer's thread to the loop, at most one a second."""

from __future__ import annotations

import asyncio
import threading

import pytest
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from ingest import live
from ingest.live import GROUP, Announcer


@pytest.fixture
def pace(monkeypatch):
    monkeypatch.setattr(live, "EVERY_S", 0.05)


async def listener():
    layer = get_channel_layer()
    channel = await layer.new_channel()
    await layer.group_add(GROUP, channel)

    async def hear():
        async with asyncio.timeout(5):
            return (await layer.receive(channel))["projects"]

    return hear


def from_a_thread(announcer, *projects):
    thread = threading.Thread(target=announcer.announce, args=(projects,))
    thread.start()
    thread.join()


def test_a_commit_on_the_writers_thread_is_heard_on_the_loop(pace):
    async def story():
        hear = await listener()
        announcer = Announcer()
        announcer.attach(asyncio.get_running_loop())

        from_a_thread(announcer, 7)

        assert await hear() == [7]

    async_to_sync(story)()


def test_many_commits_are_few_messages_and_the_last_is_never_lost(pace):
    async def story():
        hear = await listener()
        announcer = Announcer()
        announcer.attach(asyncio.get_running_loop())
        from_a_thread(announcer, 1)
        assert await hear() == [1]

        for project in (2, 3, 2, 3):
            from_a_thread(announcer, project)

        assert await hear() == [2, 3]
        assert announcer._waiting == set()

    async_to_sync(story)()


def test_what_was_said_before_anyone_listened_is_sent_when_a_loop_is_there(pace):
    async def story():
        hear = await listener()
        announcer = Announcer()
        from_a_thread(announcer, 4)

        announcer.attach(asyncio.get_running_loop())
        announcer.attach(asyncio.get_running_loop())

        assert await hear() == [4]

    async_to_sync(story)()


def test_a_layer_that_fails_stops_nobody(pace, monkeypatch, caplog):
    class Broken:
        async def group_send(self, group, message):
            raise ConnectionError

    async def story():
        announcer = Announcer()
        announcer.attach(asyncio.get_running_loop())
        with monkeypatch.context() as patch:
            patch.setattr(live, "get_channel_layer", Broken)
            from_a_thread(announcer, 1)
            await asyncio.sleep(0.02)
        hear = await listener()
        from_a_thread(announcer, 2)
        assert await hear() == [2]

    async_to_sync(story)()

    assert "live.announce_failed" in caplog.text


def test_a_loop_that_closed_is_no_reason_to_fail():
    loop = asyncio.new_event_loop()
    announcer = Announcer()
    announcer.attach(loop)
    loop.close()

    announcer.announce([1])

    assert announcer._waiting == {1}


def test_a_loop_that_closes_while_we_look_is_no_reason_to_fail():
    class Closing:
        def is_closed(self):
            return False

        def call_soon_threadsafe(self, callback):
            raise RuntimeError

    announcer = Announcer()
    announcer.attach(Closing())

    announcer.announce([1])

    assert not announcer._sending


def test_the_module_has_one_announcer_for_the_process(pace):
    async def story():
        hear = await listener()
        live.attach()
        live.announce([9])
        assert await hear() == [9]

    async_to_sync(story)()


@pytest.mark.needs("redis")
def test_boards_of_other_processes_hear_it_over_redis(pace, settings):
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": ["redis://127.0.0.1:6379"], "prefix": "announce-test"},
        }
    }

    async def story():
        hear = await listener()
        announcer = Announcer()
        announcer.attach(asyncio.get_running_loop())
        from_a_thread(announcer, 5)
        assert await hear() == [5]
        await get_channel_layer().flush()

    async_to_sync(story)()
