"""The scaled shape: the same code on PostgreSQL and Redis, told by the environment."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from tests.controlplane.serving import environment, export, key_of, start, stop

ROOT = Path(__file__).parents[2]
REDIS_URL = "redis://127.0.0.1:6379/9"


@pytest.fixture
def postgres_urls():
    """Two empty databases, gone after the test."""
    import psycopg

    host = os.environ.get("PGHOST", "127.0.0.1")
    port = os.environ.get("PGPORT", "5432")
    user = os.environ.get("PGUSER", "postgres")
    names = [f"switchgear_{role}_{uuid.uuid4().hex}" for role in ("c", "t")]
    with psycopg.connect(host=host, port=port, user=user, autocommit=True) as server:
        for name in names:
            server.execute(f'CREATE DATABASE "{name}"')
        yield [f"postgres://{user}@{host}:{port}/{name}" for name in names]
        for name in names:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.mark.needs("postgres", "redis")
def test_the_one_command_runs_on_postgres_and_redis(tmp_path, postgres_urls):
    control, telemetry = postgres_urls
    variables = environment(tmp_path) | {
        "DATABASE_URL": control,
        "TELEMETRY_DATABASE_URL": telemetry,
        "REDIS_URL": REDIS_URL,
    }

    server = start(variables)
    answered = export(server, key_of(server))
    rest = stop(server)

    assert answered == 200
    assert server.process.returncode == 0
    assert "Traceback" not in rest
    assert list(tmp_path.glob("*.sqlite3")) == []


@pytest.mark.needs("redis")
def test_a_worker_of_its_own_takes_jobs_over_redis(tmp_path):
    celery = [sys.executable, "-m", "celery", "-A", "controlplane.celery"]
    variables = environment(tmp_path) | {"REDIS_URL": REDIS_URL}
    node = f"tests-{uuid.uuid4().hex}@here"
    worker = subprocess.Popen(
        [*celery, "worker", "-P", "solo", "-n", node, "-l", "ERROR"],
        cwd=ROOT,
        env=variables,
    )
    try:
        deadline = time.monotonic() + 60
        pinged = ""
        while node not in pinged and time.monotonic() < deadline:
            pinged = subprocess.run(
                [*celery, "inspect", "ping", "-d", node, "-t", "5"],
                cwd=ROOT,
                env=variables,
                capture_output=True,
                text=True,
                check=False,
            ).stdout
    finally:
        worker.terminate()
        worker.wait(60)

    assert "pong" in pinged
