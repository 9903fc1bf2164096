"""Fixtures every test may use; each one is a noun of the domain.

A test that needs a server says ``@pytest.mark.needs("postgres")``. Without that
server it is skipped and says so; under SWITCHGEAR_REQUIRE_SERVERS=1 it fails.
"""

from __future__ import annotations

import os
import shutil
import socket
from importlib.util import find_spec
from pathlib import Path

import hypothesis
import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from controlplane import keys
from controlplane.models import Project

ROOT = Path(__file__).parents[1]
DATABASES = ["default", "telemetry"]


def listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


SERVERS = {
    "postgres": lambda: listens(
        os.environ.get("PGHOST", "127.0.0.1"), int(os.environ.get("PGPORT", "5432"))
    ),
    "redis": lambda: listens("127.0.0.1", 6379),
    "chromium": lambda: shutil.which("chromium") is not None,
    "node": lambda: shutil.which("node") is not None,
    # Libraries that recipes of the client are for.
    "langgraph": lambda: find_spec("langgraph") is not None,
    "openai-agents": lambda: find_spec("agents") is not None,
    # npm ci --prefix tests/ingest/js
    "exporters": (ROOT / "tests/ingest/js/node_modules").is_dir,
}


SOAK = os.environ.get("SWITCHGEAR_SOAK") == "1"
# No deadline: a slow machine is no reason for a law to fail.
hypothesis.settings.register_profile("quick", max_examples=50, deadline=None)
hypothesis.settings.register_profile("soak", max_examples=5_000, deadline=None)
hypothesis.settings.load_profile("soak" if SOAK else "quick")


@pytest.hookimpl(tryfirst=True)  # before pytest selects by marker
def pytest_collection_modifyitems(config, items):
    """Tests that use a database may use both; soaking is asked for."""
    soaking = [item for item in items if item.get_closest_marker("soak")]
    if soaking and not SOAK:
        config.hook.pytest_deselected(items=soaking)
        items[:] = [item for item in items if item not in soaking]
    for item in items:
        marker = item.get_closest_marker("django_db")
        uses = {"db", "transactional_db"} & set(getattr(item, "fixturenames", ()))
        if (marker or uses) and "databases" not in (marker.kwargs if marker else {}):
            kwargs = dict(marker.kwargs) if marker else {}
            if "transactional_db" in uses:
                kwargs["transaction"] = True
            item.add_marker(
                pytest.mark.django_db(databases=DATABASES, **kwargs), append=False
            )


def pytest_runtest_setup(item):
    for marker in item.iter_markers("needs"):
        for server in marker.args:
            if SERVERS[server]():
                continue
            if os.environ.get("SWITCHGEAR_REQUIRE_SERVERS") == "1":
                pytest.fail(f"{server} is required and not there", pytrace=False)
            pytest.skip(f"{server} is not there")


@pytest.fixture(autouse=True)
def no_remembered_keys():
    """Keys of the last test are gone from the database: memory must not answer."""
    keys.ring.forget()


@pytest.fixture
def project(db) -> Project:
    return Project.objects.create(slug="acme", name="Acme", created_at=timezone.now())


@pytest.fixture
def user(db):
    return get_user_model().objects.create_user("ada", password="correct horse")
