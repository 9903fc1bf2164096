"""The manual of the API is true: its examples run, its codes are those we send."""

from __future__ import annotations

import re
import shlex
from base64 import b64encode
from pathlib import Path

from django.conf import settings
from django.test import Client

from dashboards.api import bodies, problems
from dashboards.api.parameters import CallParameters
from ingest.queries import calls, inventory
from tests.dashboards.conftest import ACME_TRACE

MANUAL = (Path(settings.BASE_DIR) / "docs" / "api.md").read_text(encoding="utf-8")
EXAMPLES = [
    command
    for block in re.findall(r"```sh\n(.*?)```", MANUAL, re.DOTALL)
    for command in re.split(r"\n(?=curl)", block.strip())
]


def run(command, token):
    """Send what the curl command would send."""
    filled = command.replace("$KEY", token).replace("$TRACE", ACME_TRACE.hex())
    words = iter(shlex.split(filled)[1:])
    headers, body, url = {}, None, None
    for word in words:
        if word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word == "-u":
            headers["Authorization"] = (
                "Basic " + b64encode(next(words).encode()).decode()
            )
        elif word == "-d":
            body = next(words)
        else:
            url = word
    path = url.removeprefix("http://127.0.0.1:8000")
    if body is None:
        return Client().get(path, headers=headers)
    kind = headers.pop("Content-Type")
    return Client().post(path, body, content_type=kind, headers=headers)


def test_every_example_of_the_manual_works(telemetry, reader):
    assert len(EXAMPLES) > 10
    for command in EXAMPLES:
        answer = run(command, reader.token)

        assert answer.status_code == 200, (command, answer.content)


def test_the_manual_names_every_filter_of_the_calls():
    for name in CallParameters().fields:
        assert f"`{name}`" in MANUAL, name


def test_the_manual_names_every_status_and_the_limits():
    for status in problems.TITLES:
        assert f"| {status} |" in MANUAL, status
    assert f"{bodies.MOST_BYTES // 1024} KiB" in MANUAL
    assert f"{calls.SCAN:,}" in MANUAL
    assert f"{inventory.SESSION_SCAN:,}" in MANUAL
    assert f"newest {inventory.COVERAGE_SCAN:,}" in MANUAL
