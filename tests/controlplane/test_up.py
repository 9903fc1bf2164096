"""The one command, from outside: a real process on real ports."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib import error, request

import psutil
import pytest

from tests.controlplane.serving import (
    PATIENCE_S,
    Server,
    environment,
    export,
    key_of,
    start,
    status_of,
    stop,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    started = start(environment(tmp_path_factory.mktemp("data")))
    yield started
    started.process.kill()
    started.process.communicate()


def test_it_is_alive_and_ready(server):
    assert status_of(server.url("/healthz")) == 200
    assert status_of(server.url("/readyz")) == 200


def test_the_printed_key_sends_spans_on_both_ports(server):
    key = key_of(server)

    assert export(server, key) == 200
    assert export(server, key, port="SWITCHGEAR_OTLP_PORT") == 200
    assert export(server, "sg_00000000_nothing") == 401


def test_the_printed_link_shows_a_button_first(server):
    link = re.search(r"http\S+/login/\S+", server.greeting)[0]

    with request.urlopen(link, timeout=PATIENCE_S) as response:  # noqa: S310  our own
        page = response.read().decode()

    assert response.status == 200
    assert 'method="post"' in page


def test_pages_and_assets_are_served_without_a_build(server):
    assert status_of(server.url("/login/")) == 200
    assert status_of(server.url("/static/vendor/plotly.min.js")) == 200
    assert status_of(server.url("/static/admin/css/base.css")) == 200


def test_a_browser_gets_the_large_library_compressed(server):
    url = server.url("/static/vendor/plotly.min.js")
    asked = request.Request(url, headers={"accept-encoding": "gzip"})  # noqa: S310

    with request.urlopen(asked, timeout=PATIENCE_S) as response:  # noqa: S310
        assert response.headers["content-encoding"] == "gzip"
        assert len(response.read()) < 2_000_000


def test_a_new_key_works_at_once_and_a_revoked_one_stops_within_five_seconds(server):
    key = server.manage("create_key", "--project", "new", "--scopes", "ingest").strip()
    assert export(server, key) == 200

    revoke = (
        "from controlplane import actions; from controlplane.models import ApiKey; "
        "actions.revoke_key(ApiKey.objects.latest('pk'), actor=None)"
    )
    server.manage("shell", "--no-imports", "-c", revoke)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and export(server, key) == 200:
        time.sleep(0.2)

    assert export(server, key) == 401


def test_it_is_one_process_and_small_while_nobody_sends(tmp_path):
    server = start(environment(tmp_path))
    process = psutil.Process(server.process.pid)
    children, memory = process.children(), process.memory_full_info()
    stop(server)

    assert children == []
    # Pages that it shares with other processes, the interpreter above all, in part.
    assert memory.pss < 150 * 2**20


def test_it_starts_again_stops_when_asked_and_keeps_quiet_about_the_key(tmp_path):
    variables = environment(tmp_path)
    first = start(variables)
    first_rest = stop(first)

    second = start(variables)
    second_rest = stop(second)

    assert (first.process.returncode, second.process.returncode) == (0, 0)
    assert "Traceback" not in first_rest + second_rest
    assert "x-api-key" not in second.greeting


def test_a_busy_span_port_is_a_warning_and_a_busy_main_port_an_error(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        taken = str(busy.getsockname()[1])
        variables = environment(tmp_path) | {"SWITCHGEAR_OTLP_PORT": taken}
        server = start(variables)
        alive = status_of(server.url("/healthz"))
        stop(server)
        refused = subprocess.run(
            [sys.executable, "manage.py", "up"],
            cwd=ROOT,
            env=variables | {"SWITCHGEAR_PORT": taken, "SWITCHGEAR_OTLP_PORT": "0"},
            capture_output=True,
            text=True,
            check=False,
        )

    assert alive == 200
    assert f"Warning: 127.0.0.1:{taken}" in server.greeting
    assert refused.returncode == 1
    assert "Set SWITCHGEAR_PORT" in refused.stderr


def test_ready_means_migrated(tmp_path):
    """A web process that others migrate for: 503 names the databases until then."""
    variables = environment(tmp_path)
    process = subprocess.Popen(
        [
            sys.executable,
            *("-m", "uvicorn", "controlplane.asgi:application"),
            *("--port", variables["SWITCHGEAR_PORT"], "--log-level", "error"),
        ],
        cwd=ROOT,
        env=variables,
    )
    server = Server(process, variables, "")
    try:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                status = status_of(server.url("/readyz"))
                break
            except error.URLError:
                time.sleep(0.1)
        with pytest.raises(error.HTTPError) as refused:
            request.urlopen(server.url("/readyz"), timeout=PATIENCE_S)  # noqa: S310
        named = json.loads(refused.value.read())["not_ready"]
    finally:
        process.kill()
        process.wait()

    assert status == 503
    assert {"database:default", "database:telemetry"} <= set(named)
