"""Start the server as operators do, in a process of its own, and talk to it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from urllib import error, request

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60


class Server(NamedTuple):
    process: subprocess.Popen[str]
    environment: dict[str, str]
    greeting: str

    def url(self, path: str, *, port: str = "SWITCHGEAR_PORT") -> str:
        return f"http://127.0.0.1:{self.environment[port]}{path}"

    def manage(self, *arguments: str) -> str:
        return subprocess.check_output(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            text=True,
        )


def free_ports(count: int) -> list[int]:
    """Different ones: each is held until all are found."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def environment(folder: Path) -> dict[str, str]:
    port, otlp_port = free_ports(2)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SWITCHGEAR_", "DJANGO_", "COV_"))
        and name not in {"DATABASE_URL", "TELEMETRY_DATABASE_URL", "REDIS_URL"}
    }
    return kept | {
        "SWITCHGEAR_DATA_DIR": str(folder),
        "SWITCHGEAR_PORT": str(port),
        "SWITCHGEAR_OTLP_PORT": str(otlp_port),
    }


def start(variables: dict[str, str]) -> Server:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "up"],
        cwd=ROOT,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = []
    for line in process.stdout:  # ends when the process does
        lines.append(line)
        # The greeting ends with how to get a key, or with the key.
        if "create_key" in line or "HEADERS" in line:
            return Server(process, variables, "".join(lines))
    process.wait()
    pytest.fail("".join(lines))


def stop(server: Server) -> str:
    server.process.send_signal(signal.SIGTERM)
    rest, _ = server.process.communicate(timeout=PATIENCE_S)
    return rest


def status_of(url: str, **headers: str) -> int:
    body = b"" if headers else None
    asked = request.Request(url, data=body, headers=headers)  # noqa: S310  our own
    try:
        with request.urlopen(asked, timeout=PATIENCE_S) as response:  # noqa: S310
            return response.status
    except error.HTTPError as refused:
        return refused.code


def export(server: Server, key: str, *, port: str = "SWITCHGEAR_PORT") -> int:
    return status_of(
        server.url("/v1/traces", port=port),
        **{"x-api-key": key, "content-type": "application/x-protobuf"},
    )


def key_of(server: Server) -> str:
    """The ingest key that the first start printed."""
    return re.search(r"x-api-key=(\S+)", server.greeting)[1]
