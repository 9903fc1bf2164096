from __future__ import annotations

import asyncio
import base64
from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.utils import timezone

from controlplane import actions, keys
from controlplane.models import ApiKey


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring(clock) -> keys.Keyring:
    return keys.Keyring(clock)


@pytest.fixture
def made(project):
    return actions.create_key(project, scopes=["ingest", "read"], actor=None)


def bearer(token: str) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", b"Bearer " + token.encode())]


def basic(user: str, password: str) -> list[tuple[bytes, bytes]]:
    credentials = base64.b64encode(f"{user}:{password}".encode())
    return [(b"authorization", b"basic " + credentials)]


def test_a_key_is_known_by_bearer_by_header_and_by_basic_password(made, project):
    ways = [
        bearer(made.token),
        [(b"x-api-key", made.token.encode())],
        basic("anybody", made.token),
    ]

    found = [keys.authenticate(headers) for headers in ways]

    assert [access.project_id for access in found] == [project.pk] * 3
    assert found[0].scopes == {"ingest", "read"}


@pytest.mark.parametrize(
    "headers",
    [
        [],
        bearer("sg_00000000_nonsense"),
        [(b"authorization", b"Bearer ")],
        [(b"authorization", b"Basic not base64!")],
        [(b"authorization", b"Digest abc")],
        basic("user", ""),
    ],
    ids=["none", "unknown", "empty", "broken basic", "other scheme", "no password"],
)
def test_whoever_has_no_usable_key_gets_no_access(headers, made):
    assert keys.authenticate(headers) is None


def test_the_key_itself_is_stored_nowhere(made):
    stored = repr(ApiKey.objects.values().get())

    assert made.token not in stored
    assert made.key.prefix in made.token


def test_a_remembered_key_needs_no_database(
    ring, made, clock, django_assert_num_queries
):
    digest = keys.digest_of(made.token.encode())
    ring.read(digest)
    clock.now += keys.FRESH_S

    with django_assert_num_queries(0):
        assert ring.remembered(digest) is not None


def test_a_key_of_another_process_works_at_once(ring, project):
    assert ring.remembered("0" * 64) is None

    made = actions.create_key(project, scopes=["ingest"], actor=None)

    assert ring.read(keys.digest_of(made.token.encode())) is not None


def test_a_key_revoked_elsewhere_is_refused_within_five_seconds(ring, made, clock):
    digest = keys.digest_of(made.token.encode())
    ring.read(digest)
    ApiKey.objects.update(revoked_at=timezone.now())

    clock.now += 5.0

    assert ring.remembered(digest) is None
    assert ring.read(digest) is None


def test_one_caller_reads_again_while_the_others_go_on(ring, made, clock):
    digest = keys.digest_of(made.token.encode())
    ring.read(digest)
    clock.now += keys.FRESH_S + 0.1

    assert ring.remembered(digest) is None
    assert ring.remembered(digest) is not None


def test_nobody_is_answered_from_memory_that_is_too_old(ring, made, clock):
    digest = keys.digest_of(made.token.encode())
    ring.read(digest)
    clock.now += keys.GOOD_S + 0.1

    assert ring.remembered(digest) is None
    assert ring.remembered(digest) is None


def test_a_key_revoked_here_is_refused_at_once(made):
    assert keys.authenticate(bearer(made.token)) is not None

    actions.revoke_key(made.key, actor=None)
    keys.ring.forget(made.key.digest)  # what on_commit does

    assert keys.authenticate(bearer(made.token)) is None


@pytest.mark.django_db(transaction=True)
def test_revoking_forgets_on_commit(made):
    assert keys.authenticate(bearer(made.token)) is not None

    assert actions.revoke_key(made.key, actor=None)
    assert not actions.revoke_key(made.key, actor=None)

    assert keys.authenticate(bearer(made.token)) is None


def test_an_expired_key_is_refused_even_from_memory(ring, project):
    soon = timezone.now() + timedelta(milliseconds=30)
    made = actions.create_key(project, scopes=["read"], actor=None, expires_at=soon)
    digest = keys.digest_of(made.token.encode())
    ring.read(digest)
    ring._entries[digest].expires_at = timezone.now()

    assert ring.remembered(digest) is None


def test_a_dead_database_stops_no_key_that_was_known(ring, made, clock, monkeypatch):
    digest = keys.digest_of(made.token.encode())
    ring.read(digest)
    clock.now += 60

    def fail(*args, **kwargs):
        raise DatabaseError

    monkeypatch.setattr(keys, "usable_key", fail)

    assert ring.read(digest) is not None
    with pytest.raises(DatabaseError):
        ring.read("0" * 64)


def test_use_is_noted_at_most_once_a_minute(ring, made):
    digest = keys.digest_of(made.token.encode())
    ring.read(digest)
    first = ApiKey.objects.get().last_used_at

    ring.read(digest)

    assert first is not None
    assert ApiKey.objects.get().last_used_at == first


def test_an_access_carries_what_the_project_configured(project):
    actions.update_project(
        project,
        name="Acme",
        tenant_keys=["customer.id"],
        raw_retention_days=30,
        actor=None,
    )
    actions.set_price(
        project, kind="tool", target="search*", unit="call", nano_usd=5, actor=None
    )
    made = actions.create_key(project, scopes=["ingest"], tenant="globex", actor=None)

    access = keys.authenticate(bearer(made.token))

    assert access.tenant == "globex"
    assert access.project.tenant_keys == ("customer.id",)
    assert access.project.raw_retention_days == 30
    assert len(access.project.fingerprint_key) == 32
    assert [(p.target, p.nano_usd) for p in access.project.prices] == [("search*", 5)]


@pytest.mark.django_db(transaction=True)
def test_an_event_loop_is_answered_too(made):
    async def twice():
        headers = bearer(made.token)
        return [await keys.aauthenticate(headers) for _ in range(2)]

    first, second = asyncio.run(twice())

    assert first is not None
    assert second is first
    assert asyncio.run(keys.aauthenticate([])) is None
