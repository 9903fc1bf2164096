"""docs/protocol.md is enough: its own commands and client, run against a server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from controlplane.plane import admission, asking, endpoints, members
from tests.controlplane.fleet import Line, Operator
from tests.controlplane.serving import environment, start, stop

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "protocol.md").read_text("utf-8")
PATIENCE_S = 30


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What the page says a reader has: the address, and a key."""
    server = start(environment(tmp_path_factory.mktemp("docs")))
    scopes = "policy,write,read"
    made = server.manage("create_key", "--project", "Default", "--scopes", scopes)
    try:
        yield {"URL": server.url(""), "KEY": made.strip()}
    finally:
        stop(server)


def edit(told, rules: int) -> None:
    async def play():
        for _ in range(rules):
            operator = Operator(port_of(told), told["KEY"])
            await operator.make()
            operator.close()

    asyncio.run(play())


def runs(told, uid: str) -> int | None:
    """The version an operator sees the instance run."""

    async def play():
        line = Line(port_of(told), told["KEY"])
        reply = await line.ask("GET", "/api/v1/instances")
        line.close()
        return json.loads(reply.body)["items"]

    seen = [each for each in asyncio.run(play()) if each["instance"] == uid]
    return seen[0]["policy"]["running_version"] if seen else None


def port_of(told) -> int:
    return int(told["URL"].rsplit(":", 1)[1])


def shell(told, command: str, **more) -> subprocess.CompletedProcess[str]:
    bash = shutil.which("bash")
    return subprocess.run(
        [bash, "-c", command],
        env=os.environ | told,
        capture_output=True,
        text=True,
        check=False,
        **more,
    )


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not there")
def test_the_commands_of_the_page_fetch_hear_and_report(told):
    fetch, stream, status = blocks("sh")

    fetched = shell(told, fetch)
    heard = shell(told, f"timeout 3 {stream}")
    reported = shell(told, status)

    snapshot = json.loads(fetched.stdout)
    assert snapshot["api_version"] == "policy.v1"
    data = json.loads(re.search(r"event: policy\n.*\ndata: (.*)\n", heard.stdout)[1])
    assert data == {"version": snapshot["version"], "digest": snapshot["digest"]}
    assert json.loads(reported.stdout)["heartbeat_s"] == endpoints.HEARTBEAT_S


@pytest.mark.needs("node")
def test_the_client_of_the_page_obeys_every_version_and_says_so(told, tmp_path):
    (client,) = blocks("js")
    (tmp_path / "client.mjs").write_text(client)
    running = subprocess.Popen(
        [shutil.which("node"), tmp_path / "client.mjs"],
        env=os.environ | told,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        first = running.stdout.readline()
        before = int(re.match(r"running v(\d+) with \d+ rules", first)[1])
        edit(told, 1)
        second = running.stdout.readline()
        deadline = time.monotonic() + PATIENCE_S
        while runs(told, "node-1") != before + 1 and time.monotonic() < deadline:
            time.sleep(0.1)
        shown = runs(told, "node-1")
    finally:
        running.kill()
        running.communicate()

    assert second.startswith(f"running v{before + 1} with")
    assert shown == before + 1


# What the page says in numbers is what the code does.


@pytest.mark.parametrize("path", endpoints.PATHS)
def test_every_address_is_documented(path):
    method, _ = endpoints.ROUTES[path]

    assert f"`{method} {path}`" in TEXT


def test_every_code_of_a_refusal_is_documented():
    source = "".join(
        path.read_text() for path in (ROOT / "controlplane/plane").glob("*.py")
    )
    used = set(re.findall(r'(?:NotNow\(|Problem\(\d+, )"(\w+)"', source))

    rows = TEXT.split("## Refusals")[1].split("## A whole client")[0]
    told = set(re.findall(r"`([a-z_]+)`", rows))

    assert len(used) >= 12
    assert used <= told


@pytest.mark.parametrize(
    "words",
    [
        f"{admission.MOST_STREAMS:,} streams",
        f"{admission.MOST_STREAMS_PER_KEY:,} per key",
        f"at most {endpoints.MOST_BODY_BYTES // 1024} KiB",
        f"every {members.COMMENT_EVERY_S:.0f} s",
        f"0 to {asking.LONGEST_WAIT_S:.0f}",
        f'"heartbeat_s":{endpoints.HEARTBEAT_S},',
    ],
)
def test_every_number_is_that_of_the_code(words):
    assert words in TEXT
