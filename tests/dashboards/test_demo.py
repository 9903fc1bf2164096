"""``manage.py demo`` shows a living product, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from django.conf import settings

from dashboards.demo.services import FLEET
from ingest.records import OUTCOME_CODES

PATIENCE_S = 120
WANTED = {OUTCOME_CODES[word] for word in ("ok", "recovered", "failed", "refused")}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def demo(tmp_path):
    """A running demo that fills a quarter of an hour, and where its data is."""
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "controlplane.settings",
        "SWITCHGEAR_DATA_DIR": str(tmp_path),
        "SWITCHGEAR_PORT": str(free_port()),
        "SWITCHGEAR_OTLP_PORT": "0",
        "SWITCHGEAR_GRPC_PORT": "0",
        "DATABASE_URL": "",
        "TELEMETRY_DATABASE_URL": "",
        "REDIS_URL": "",
    }
    process = subprocess.Popen(
        [sys.executable, "manage.py", "demo", "--history=0.25"],
        cwd=settings.BASE_DIR,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    yield psutil.Process(process.pid), tmp_path / "telemetry.sqlite3"
    process.kill()
    process.wait()


def outcomes(path: Path):
    if not path.exists():
        return set()
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        try:
            rows = connection.execute("SELECT DISTINCT outcome FROM ingest_call")
            return {code for (code,) in rows}
        except sqlite3.OperationalError:
            return set()  # the tables are being made


def wait_for(holds):
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.2)


def test_the_demo_shows_calls_of_every_kind_and_goes_quietly(demo):
    process, telemetry = demo

    wait_for(lambda: outcomes(telemetry) >= WANTED)
    fleet = process.children()
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE_S)

    assert len(fleet) == sum(service.instances for service in FLEET.values())
    wait_for(lambda: not any(service.is_running() for service in fleet))


def test_a_fleet_does_not_outlive_a_server_that_was_killed(demo):
    process, telemetry = demo

    wait_for(lambda: outcomes(telemetry))
    fleet = process.children()
    process.kill()

    assert fleet
    wait_for(lambda: not any(service.is_running() for service in fleet))
