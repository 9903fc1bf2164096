"""The manual of the API is true: its examples run, its codes are those we send."""

from __future__ import annotations

import re
import shlex
from base64 import b64encode
from pathlib import Path

from django.conf import settings
from django.test import Client

from controlplane import actions
from controlplane.models import Draft
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


def run(command, token, draft):
    """Send what the curl command would send."""
    filled = command.replace("$KEY", token).replace("$TRACE", ACME_TRACE.hex())
    words = iter(shlex.split(filled.replace("$DRAFT", str(draft)))[1:])
    headers, body, url, verb = {}, None, None, None
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
        elif word == "-X":
            verb = next(words)
        else:
            url = word
    path = url.removeprefix("http://127.0.0.1:8000")
    verb = verb or ("GET" if body is None else "POST")
    kind = headers.pop("Content-Type", "")
    return Client().generic(verb, path, body or "", kind, headers=headers)


def test_every_example_of_the_manual_works(telemetry, policy, editor):
    assert len(EXAMPLES) > 25
    draft = Draft.objects.get(project=policy)
    for command in EXAMPLES:
        answer = run(command, editor.token, draft.pk)

        assert answer.status_code in {200, 201, 204}, (command, answer.content)
        if "/rollback" in command:  # the rules under the draft are others now
            actions.rebase_draft(draft, actor=None)


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
