from __future__ import annotations

import pytest
from django.conf import settings
from django.core.checks import run_checks

from controlplane.checks import is_loopback

SQLITE = {"ENGINE": "django.db.backends.sqlite3", "NAME": "one.sqlite3"}
PUBLIC = "http://switchgear.example.com"


def ids() -> set[str]:
    return {
        message.id for message in run_checks() if message.id.startswith("controlplane.")
    }


def test_the_defaults_raise_no_check():
    assert ids() == set()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"PROCESSES": 2}, "controlplane.E001"),
        ({"DATABASES": {"default": SQLITE, "telemetry": SQLITE}}, "controlplane.E002"),
        ({"SECRET_KEY": "short"}, "controlplane.E003"),
        ({"DEBUG": True, "HOST": "0.0.0.0"}, "controlplane.E004"),
        ({"OTLP_PORT": 8000, "PORT": 8000}, "controlplane.E005"),
        ({"PUBLIC_URL": "switchgear.example.com"}, "controlplane.E006"),
        ({"ASSETS_DIR": "/nowhere"}, "controlplane.E007"),
        ({"HOST": "0.0.0.0"}, "controlplane.W001"),
        ({"PUBLIC_URL": PUBLIC}, "controlplane.W002"),
        ({"PROCESSES": 2}, "controlplane.W003"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_setting_is_named(monkeypatch, changed, expected):
    for name, value in changed.items():
        monkeypatch.setattr(settings, name, value)

    assert expected in ids()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("switchgear.example.com", False),
    ],
)
def test_loopback_is_told_from_public(host, expected):
    assert is_loopback(host) is expected
