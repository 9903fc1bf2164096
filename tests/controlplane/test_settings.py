from __future__ import annotations

import pytest
from django.apps import apps

from controlplane.env import EnvError, database
from controlplane.router import TelemetryRouter


def test_telemetry_lives_in_its_own_database():
    router = TelemetryRouter()

    for model in apps.get_models():
        expected = "telemetry" if model._meta.app_label == "ingest" else "default"
        assert router.db_for_read(model) == expected
        assert router.db_for_write(model) == expected


def test_each_database_holds_only_its_own_tables():
    router = TelemetryRouter()

    assert router.allow_migrate("telemetry", "ingest")
    assert not router.allow_migrate("default", "ingest")
    assert router.allow_migrate("default", "controlplane")
    assert not router.allow_migrate("telemetry", "auth")


def test_a_postgres_url_is_taken_apart(tmp_path):
    settings = database(
        "postgres://ann:p%40ss@db.example:5433/switch?sslmode=require",
        sqlite=tmp_path / "unused",
    )

    assert settings["ENGINE"] == "django.db.backends.postgresql"
    assert settings["USER"] == "ann"
    assert settings["PASSWORD"] == "p@ss"
    assert (settings["HOST"], settings["PORT"]) == ("db.example", "5433")
    assert settings["NAME"] == "switch"
    assert settings["OPTIONS"]["sslmode"] == "require"


def test_no_url_is_a_sqlite_file_that_waits_and_syncs(tmp_path):
    settings = database("", sqlite=tmp_path / "control.sqlite3")

    assert settings["NAME"] == str(tmp_path / "control.sqlite3")
    assert settings["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in settings["OPTIONS"]["init_command"]
    assert "synchronous=FULL" in settings["OPTIONS"]["init_command"]


def test_an_unknown_database_is_refused_by_name(tmp_path):
    with pytest.raises(EnvError, match="mysql"):
        database("mysql://localhost/x", sqlite=tmp_path / "unused")
