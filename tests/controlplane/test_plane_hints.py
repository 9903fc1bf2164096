"""Hints reach every listener of every process, and never hurt whoever gives them."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from controlplane import hints
from controlplane.hints import Hint, Topic

ROOT = Path(__file__).parents[2]
REDIS_URL = "redis://127.0.0.1:6379/11"
NO_REDIS_URL = "redis://127.0.0.1:6390/0"  # nothing listens there
PATIENCE_S = 10


async def heard_of(topic, give, *, count=1):
    """What a listener to ``topic`` hears when ``give`` runs on another thread."""
    heard: asyncio.Queue[Hint] = asyncio.Queue()
    unsubscribe = hints.subscribe(topic, heard.put_nowait)
    try:
        await give()
        async with asyncio.timeout(PATIENCE_S):
            return [await heard.get() for _ in range(count)]
    finally:
        unsubscribe()


def on_thread(give, *arguments):
    async def run():
        thread = threading.Thread(target=give, args=arguments)
        thread.start()
        await asyncio.to_thread(thread.join)

    return run


def test_a_hint_of_any_thread_is_heard_on_the_loop_that_listens():
    give = on_thread(hints.announce, 7, "prod", 42)

    heard = asyncio.run(heard_of(Topic.POLICY, give))

    assert heard == [Hint(Topic.POLICY, 7, "prod", 42)]


def test_who_listens_to_acks_hears_nothing_of_versions():
    def give():
        hints.announce(7, "prod", 42)
        hints.announce_acks(7, "prod")

    heard = asyncio.run(heard_of(Topic.ACKS, on_thread(give)))

    assert heard == [Hint(Topic.ACKS, 7, "prod")]


def test_who_unsubscribed_hears_nothing():
    async def scene():
        heard = []
        hints.subscribe(Topic.POLICY, heard.append)()
        hints.announce(7, "prod", 42)
        await asyncio.sleep(0)
        return heard

    assert asyncio.run(scene()) == []


def test_a_loop_that_is_gone_disturbs_nobody():
    async def leave_a_listener():
        hints.subscribe(Topic.POLICY, lambda _: None)

    asyncio.run(leave_a_listener())
    give = on_thread(hints.announce, 7, "prod", 42)

    assert asyncio.run(heard_of(Topic.POLICY, give))


def test_without_redis_this_process_still_hears(settings, caplog):
    settings.REDIS_URL = NO_REDIS_URL

    heard = asyncio.run(
        heard_of(Topic.POLICY, on_thread(hints.announce, 7, "prod", 42))
    )

    assert heard == [Hint(Topic.POLICY, 7, "prod", 42)]
    assert "hints.publish_failed" in caplog.text


def test_a_redis_that_swallows_everything_costs_an_edit_a_second_once(settings):
    with socket.create_server(("127.0.0.1", 0)) as hole:  # accepts, never answers
        settings.REDIS_URL = f"redis://127.0.0.1:{hole.getsockname()[1]}/0"
        began = time.monotonic()
        for version in range(20):
            hints.announce(7, "prod", version)
        took = time.monotonic() - began

    assert 0.4 < took < 2.5


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b'["x", "policy", 1]',
        b'["x", "gossip", 1, "prod", 2]',
        b'["x", "policy", "one", "prod", 2]',
        b'["x", "policy", 1, "prod", null]',
    ],
)
def test_what_is_no_hint_is_ignored(data):
    assert hints.from_elsewhere(data) is None


def test_our_own_message_is_not_heard_twice():
    mine = json.dumps([hints.ORIGIN, "policy", 1, "prod", 2]).encode()
    theirs = json.dumps(["another", "policy", 1, "prod", 2]).encode()

    assert hints.from_elsewhere(mine) is None
    assert hints.from_elsewhere(theirs) == Hint(Topic.POLICY, 1, "prod", 2)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("redis://host:6379", "switchgear.hints/0"),
        ("redis://host:6379/0", "switchgear.hints/0"),
        ("redis://host:6379/3", "switchgear.hints/3"),
    ],
)
def test_installations_that_share_a_redis_hear_only_their_own(url, name):
    assert hints.channel_name(url) == name


def announce_elsewhere(version: int) -> None:
    code = f"""
import django
django.setup()
from controlplane import hints
hints.announce(7, "prod", {version})
"""
    variables = os.environ | {
        "DJANGO_SETTINGS_MODULE": "controlplane.settings",
        "REDIS_URL": REDIS_URL,
    }
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=variables, check=True)


async def subscribed_to_redis(url: str) -> None:
    client = hints.publisher(url)
    name = hints.channel_name(url)
    while not dict(client.pubsub_numsub(name))[name.encode()]:  # noqa: ASYNC110
        await asyncio.sleep(0.02)


@pytest.mark.needs("redis")
def test_another_process_is_heard_over_redis(settings):
    settings.REDIS_URL = REDIS_URL

    async def give():
        await subscribed_to_redis(REDIS_URL)
        await asyncio.to_thread(announce_elsewhere, 42)

    heard = asyncio.run(heard_of(Topic.POLICY, give))

    assert heard == [Hint(Topic.POLICY, 7, "prod", 42)]


@pytest.mark.needs("redis")
def test_a_subscription_that_was_cut_is_made_again(settings):
    settings.REDIS_URL = REDIS_URL

    async def give():
        await subscribed_to_redis(REDIS_URL)
        client = hints.publisher(REDIS_URL)
        for connected in client.client_list(_type="pubsub"):
            if connected["name"] == f"switchgear.hints.{hints.ORIGIN}":
                client.client_kill_filter(_id=connected["id"])
        await subscribed_to_redis(REDIS_URL)
        await asyncio.to_thread(announce_elsewhere, 43)

    heard = asyncio.run(heard_of(Topic.POLICY, give))

    assert heard == [Hint(Topic.POLICY, 7, "prod", 43)]
