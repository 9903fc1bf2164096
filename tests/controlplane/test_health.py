from __future__ import annotations

import asyncio
import json

import pytest
from django.db import OperationalError, connections

from controlplane import health


@pytest.fixture(autouse=True)
def nothing_seen(monkeypatch):
    monkeypatch.setattr(health, "migrated", set())


def answer_of(coroutine_of) -> tuple[int, dict]:
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(coroutine_of(send))
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_alive_needs_no_database():
    status, document = answer_of(health.answer_alive)

    assert (status, document) == (200, {"status": "alive"})


@pytest.mark.django_db(transaction=True)
def test_a_migrated_server_with_a_writer_is_ready():
    status, document = answer_of(
        lambda send: health.answer_ready(send, {"writer": lambda: None})
    )

    assert (status, document) == (200, {"status": "ready"})


@pytest.mark.django_db(transaction=True)
def test_what_is_not_ready_is_named():
    probes = {"writer": lambda: "the disk is full"}

    status, document = answer_of(lambda send: health.answer_ready(send, probes))

    assert status == 503
    assert document["not_ready"] == {"writer": "the disk is full"}


@pytest.mark.django_db(transaction=True)
def test_a_database_that_cannot_be_reached_is_named(monkeypatch):
    def refuse(self):
        raise OperationalError

    monkeypatch.setattr(type(connections["telemetry"]), "cursor", refuse)

    troubles = health.not_ready({})

    assert troubles == {
        "database:default": "unreachable: OperationalError",
        "database:telemetry": "unreachable: OperationalError",
    }


@pytest.mark.django_db(transaction=True)
def test_a_migration_that_waits_is_counted(monkeypatch):
    monkeypatch.setattr(
        health.MigrationExecutor, "migration_plan", lambda *_: ["one", "two"]
    )

    assert health.database_trouble("telemetry") == "2 migrations are not applied"


@pytest.mark.django_db(transaction=True)
def test_migrations_are_read_until_they_are_applied_and_never_again(monkeypatch):
    assert health.database_trouble("telemetry") is None

    def fail(*_):
        raise AssertionError

    monkeypatch.setattr(health, "unapplied", fail)

    assert health.database_trouble("telemetry") is None
