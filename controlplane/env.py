"""Every environment variable the server reads, and typed readers for them.

A variable that is not declared in ``VARIABLES`` cannot be read, so the manual page
``docs/settings.md``, which a test compares with this table, is always complete.
Secrets may be given as a file: ``NAME_FILE`` holds its path (how Docker mounts them).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit


class Variable(NamedTuple):
    name: str
    default: str
    meaning: str


VARIABLES = {
    variable.name: variable
    for variable in (
        Variable("SWITCHGEAR_DATA_DIR", "./var", "folder of the databases and secrets"),
        Variable("SWITCHGEAR_HOST", "127.0.0.1", "address every port listens on"),
        Variable("SWITCHGEAR_PORT", "8000", "pages, REST and OTLP/HTTP"),
        Variable("SWITCHGEAR_OTLP_PORT", "4318", "OTLP/HTTP alone; 0 turns it off"),
        Variable("SWITCHGEAR_DEBUG", "false", "Django's debug pages; never in public"),
        Variable(
            "SWITCHGEAR_ALLOWED_HOSTS",
            "*",
            "host names the pages answer to, separated by commas",
        ),
        Variable(
            "SWITCHGEAR_PUBLIC_URL",
            "",
            "address people use, when a proxy is in front; https makes cookies secure",
        ),
        Variable(
            "SWITCHGEAR_PROCESSES",
            "1",
            "web processes that serve this installation, told to the system checks",
        ),
        Variable(
            "SWITCHGEAR_SECRET_KEY",
            "",
            "signs sessions; made once and kept in the data folder when empty",
        ),
        Variable("SWITCHGEAR_LOG_LEVEL", "INFO", "least severe log line that is shown"),
        Variable(
            "DATABASE_URL",
            "",
            "control database, postgres://user:password@host:port/name; empty: SQLite",
        ),
        Variable(
            "TELEMETRY_DATABASE_URL",
            "",
            "telemetry database, same form; empty: SQLite",
        ),
        Variable(
            "REDIS_URL",
            "",
            "redis://host:port/0: channels and jobs over Redis; empty: in this process",
        ),
    )
}


class EnvError(Exception):
    """An environment variable is set to something we cannot use."""


def env_text(name: str) -> str:
    return os.environ.get(name, VARIABLES[name].default)


def env_bool(name: str) -> bool:
    raw = env_text(name)
    if raw.lower() in {"1", "true", "yes", "on"}:
        return True
    if raw.lower() in {"0", "false", "no", "off", ""}:
        return False
    msg = f"{name}={raw!r} is not a boolean; use true or false"
    raise EnvError(msg)


def env_int(name: str) -> int:
    raw = env_text(name)
    try:
        return int(raw)
    except ValueError:
        msg = f"{name}={raw!r} is not a whole number"
        raise EnvError(msg) from None


def env_list(name: str) -> list[str]:
    return [part.strip() for part in env_text(name).split(",") if part.strip()]


def env_secret(name: str) -> str:
    """Read NAME, or the file that NAME_FILE points at."""
    if path := os.environ.get(f"{name}_FILE"):
        return Path(path).read_text(encoding="utf-8").strip()
    return env_text(name)


def kept_secret(path: Path) -> str:
    """The secret in ``path``; made on first use, readable by its owner only."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(50))
        # Two processes that start together must end up with one secret: the link
        # is made by the first only, and never shows half a file.
        with contextlib.suppress(FileExistsError):
            Path(path).hardlink_to(made)
        Path(made).unlink()
    return path.read_text(encoding="utf-8").strip()


def database(url: str, *, sqlite: Path) -> dict[str, Any]:
    """Django's settings for a database URL; SQLite in ``sqlite`` when it is empty."""
    parts = urlsplit(url)
    if parts.scheme in {"", "sqlite"}:
        return sqlite_database(Path(parts.path.removeprefix("/")) if url else sqlite)
    if parts.scheme not in {"postgres", "postgresql"}:
        msg = f"{parts.scheme}:// is no database we know; use postgres:// or sqlite:///"
        raise EnvError(msg)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.removeprefix("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        # Requests run on threads that come and go, so connections are pooled and not
        # kept per thread.
        "OPTIONS": {
            **dict(parse_qsl(parts.query)),
            "pool": {"min_size": 0, "max_size": 16, "timeout": 5},
        },
    }


def sqlite_database(path: Path) -> dict[str, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": {
            # A transaction that starts reading and then writes would fail at once
            # instead of waiting for its turn.
            "transaction_mode": "IMMEDIATE",
            "timeout": 5,
            # FULL: what was answered is on disk, also after the power fails.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
    }
