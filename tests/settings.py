"""Settings for the test run: SQLite files in a folder of this run, or PostgreSQL.

The databases are files, not memory, because the writer and the readers have
connections of their own on other threads. ``SWITCHGEAR_TEST_DATABASE=postgres`` uses
the server that PGHOST, PGPORT, PGUSER and PGPASSWORD name (127.0.0.1, postgres).
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

RUN_DIR = Path(tempfile.mkdtemp(prefix="switchgear-tests-"))
atexit.register(shutil.rmtree, RUN_DIR, ignore_errors=True)
for name in ("DATABASE_URL", "TELEMETRY_DATABASE_URL", "REDIS_URL"):
    os.environ.pop(name, None)
os.environ["SWITCHGEAR_DATA_DIR"] = str(RUN_DIR)
os.environ["SWITCHGEAR_SECRET_KEY"] = "a key for tests only, long enough for the checks"

from controlplane.settings import *  # noqa: E402, F403


def postgres(role: str) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "HOST": os.environ.get("PGHOST", "127.0.0.1"),
        "PORT": os.environ.get("PGPORT", "5432"),
        "USER": os.environ.get("PGUSER", "postgres"),
        "PASSWORD": os.environ.get("PGPASSWORD", ""),
        # Named after this process: several runs may use one server.
        "TEST": {"NAME": f"switchgear_test_{os.getpid()}_{role}"},
    }


def sqlite(role: str) -> dict[str, Any]:
    path = str(RUN_DIR / f"{role}.sqlite3")
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 5,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
        },
        "TEST": {"NAME": path},
    }


make = postgres if os.environ.get("SWITCHGEAR_TEST_DATABASE") == "postgres" else sqlite
DATABASES = {"default": make("control"), "telemetry": make("telemetry")}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
