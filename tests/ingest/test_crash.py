"""What was answered survives kill -9 at any moment, once, and the numbers fit it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from ingest.rollup import COUNTERS, contribution
from ingest.stores.sqlite import SqliteStore
from tests.ingest.crash_child import AT_ONCE, PROJECT, export
from tests.ingest.telemetry import calls_of, numbers_of

ROOT = Path(__file__).parents[2]
CALLS = COUNTERS.index("calls")


@pytest.fixture
def environment(tmp_path):
    environment = os.environ | {
        "SWITCHGEAR_DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "controlplane.settings",
        "PYTHONPATH": str(ROOT),
    }
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--database=telemetry", "-v0"],
        cwd=ROOT,
        env=environment,
        check=True,
    )
    return environment


def answered_before_kill(environment, first, *, least):
    """Run a child, kill it at a random moment, and return what it had answered."""
    command = [sys.executable, "-m", "tests.ingest.crash_child", str(first)]
    numbers = []
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as child:
        for line in child.stdout:
            numbers.append(int(line))
            if len(numbers) == least:
                moment = random.uniform(0, 0.3)
                threading.Timer(moment, child.kill).start()
    assert child.returncode == -signal.SIGKILL
    return numbers


def span_ids(store):
    with store.read() as tx:
        return Counter(
            tx.select(
                "SELECT t.trace_id, s.span_id FROM ingest_span s "
                "JOIN ingest_trace t ON t.id = s.trace_id"
            )
        )


def counted(calls):
    """Calls per series and bucket, from the raw calls."""
    counts = Counter()
    for _, _, call, counts_for_its_answer in calls:
        part = contribution(call)
        if part is not None and counts_for_its_answer:
            counts[(*part.series, part.bucket)] += 1
    return counts


@pytest.mark.parametrize(
    "rounds",
    [pytest.param(2, id="quick"), pytest.param(30, id="all", marks=pytest.mark.soak)],
)
def test_what_was_answered_is_there_once_after_kill_9(environment, tmp_path, rounds):
    first, answered = 2, []
    for _ in range(rounds):
        numbers = answered_before_kill(environment, first, least=40)
        answered += numbers
        # The client sends again what was not answered, and some that was.
        first = max(numbers) - 2 * AT_ONCE

    store = SqliteStore(str(tmp_path / "telemetry.sqlite3"))
    stored, calls = span_ids(store), calls_of(store, PROJECT)
    numbers = numbers_of(store, PROJECT)
    store.close()

    sent = {(each.trace_id, each.span_id) for one in answered for each in export(one)}
    assert sent <= set(stored)
    assert set(stored.values()) == {1}
    in_rows = {words: sums[CALLS] for words, sums in numbers.items() if len(words) == 8}
    assert in_rows == dict(counted(calls))
