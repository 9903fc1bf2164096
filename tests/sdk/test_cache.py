"""The policy on disk: whole or not at all."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from switchgear.cache import CURRENT, Cache, default_folder


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path, endpoint="http://x", service="shop", environment="prod")


def test_what_was_written_is_read_back(cache):
    cache.write(CURRENT, b"policy")

    assert cache.read(CURRENT) == b"policy"


def test_there_is_nothing_at_first(cache):
    assert cache.read(CURRENT) is None


def test_services_environments_and_control_planes_do_not_share_files(tmp_path):
    folders = {
        Cache(
            tmp_path, endpoint=endpoint, service=service, environment=environment
        ).folder
        for endpoint in ("http://a", "http://b")
        for service in ("shop", "shop.x", "../../etc", "")
        for environment in ("prod", "x.prod")
    }

    assert len(folders) == 16
    assert all(folder.parent == tmp_path for folder in folders)


def test_a_write_that_fails_leaves_the_old_file_and_no_other(cache, monkeypatch):
    cache.write(CURRENT, b"old")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        cache.write(CURRENT, b"new")

    assert cache.read(CURRENT) == b"old"
    assert [path.name for path in cache.folder.iterdir()] == [CURRENT]


def test_readers_see_whole_files_while_writers_replace_them(cache):
    bodies = [bytes([65 + place]) * 200_000 for place in range(4)]
    cache.write(CURRENT, bodies[0])

    writers = [
        threading.Thread(
            target=lambda body=body: [cache.write(CURRENT, body) for _ in range(10)]
        )
        for body in bodies
    ]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        seen.add(cache.read(CURRENT))
    for writer in writers:
        writer.join()

    assert seen <= set(bodies)


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"SWITCHGEAR_CACHE_DIR": "/data/x", "HOME": "/h"}, Path("/data/x")),
        ({"XDG_CACHE_HOME": "/c", "HOME": "/h"}, Path("/c/switchgear")),
        ({"HOME": "/h"}, Path("/h/.cache/switchgear")),
        ({"USERPROFILE": "/u"}, Path("/u/.cache/switchgear")),
        ({}, None),
    ],
)
def test_caches_go_where_caches_belong(environ, folder):
    assert default_folder(environ) == folder
