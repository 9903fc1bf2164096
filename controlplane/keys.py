"""Who sends this request: API keys, answered from memory.

The hot path authenticates every export, so a key that was seen is answered without
the database. Three promises bound what memory may answer: a key that another process
made works at once (what is not remembered is looked up), a revoked or expired one is
refused within 5 s, and a control database that is down stops nobody it already knew.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import logging
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import DatabaseError, connection
from django.http import HttpRequest
from django.utils import timezone

from controlplane.models import ApiKey, Price, Project
from controlplane.readings import Access, PriceReading, ProjectReading

logger = logging.getLogger(__name__)

Headers = Iterable[tuple[bytes, bytes]]
NAMES = ("authorization", "x-api-key")

# After FRESH_S one caller reads again while the others go on; after GOOD_S all do.
FRESH_S = 2.0
GOOD_S = 4.0
NOTE_USE_EVERY = timedelta(minutes=1)


@dataclass(slots=True)
class Remembered:
    access: Access
    expires_at: datetime | None
    read_at: float
    reading: bool = False


class Keyring:
    """The keys this process has seen lately; unknown keys take no room."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[str, Remembered] = {}

    def remembered(self, digest: str) -> Access | None:
        """The answer if memory may give it; None asks the caller to ``read``."""
        entry = self._entries.get(digest)
        if entry is None:
            return None
        age = self._clock() - entry.read_at
        if age > GOOD_S or (age > FRESH_S and not entry.reading):
            entry.reading = True
            return None
        if entry.expires_at is not None and entry.expires_at <= timezone.now():
            return None
        return entry.access

    def read(self, digest: str) -> Access | None:
        # Before the query: a key revoked while it runs counts as revoked afterwards.
        read_at = self._clock()
        before = self._entries.get(digest)
        try:
            key = usable_key(digest, now=timezone.now())
            prices = price_readings(key.project) if key else ()
        except DatabaseError:
            if before is None:
                raise
            logger.warning("keys.database_failed", exc_info=True)
            before.reading = False
            return before.access
        if key is None:
            self._entries.pop(digest, None)
            return None
        access = access_of(key, project_reading(key.project, prices))
        self._entries[digest] = Remembered(access, key.expires_at, read_at)
        return access

    def forget(self, digest: str | None = None) -> None:
        """Read again on next use: one key, or all of them."""
        if digest is None:
            self._entries.clear()
        else:
            self._entries.pop(digest, None)


ring = Keyring()


def authenticate(headers: Headers) -> Access | None:
    """The access of the key in ``headers``, or None if there is no usable key."""
    token = token_in(headers)
    if not token:
        return None
    digest = digest_of(token)
    return ring.remembered(digest) or ring.read(digest)


async def aauthenticate(headers: Headers) -> Access | None:
    """The same for event loops; takes a thread only when the database must be asked."""
    token = token_in(headers)
    if not token:
        return None
    digest = digest_of(token)
    return ring.remembered(digest) or await asyncio.to_thread(read_and_close, digest)


def usable_digests(digests: Collection[str], scope: str) -> set[str]:
    """Those whose keys are good for ``scope`` now, whatever memory says."""
    found = ApiKey.objects.usable(timezone.now()).filter(digest__in=digests)
    return {
        digest
        for digest, scopes in found.values_list("digest", "scopes")
        if scope in scopes
    }


def presented(request: HttpRequest) -> bool:
    """Whether the request names a key, usable or not."""
    return any(name in request.headers for name in NAMES)


def authenticate_request(request: HttpRequest) -> Access | None:
    return authenticate(
        (name.encode(), request.headers[name].encode())
        for name in NAMES
        if name in request.headers
    )


def read_and_close(digest: str) -> Access | None:
    # This thread is not one of Django's: nobody else would close its connection.
    try:
        return ring.read(digest)
    finally:
        connection.close()


def token_in(headers: Headers) -> bytes:
    """The key in the headers: Bearer, ``x-api-key``, or the password of Basic."""
    bearer = plain = basic = b""
    for name, value in headers:
        if name == b"x-api-key":
            plain = value.strip()
        elif name == b"authorization":
            scheme, _, credentials = value.strip().partition(b" ")
            if scheme.lower() == b"bearer":
                bearer = credentials.strip()
            elif scheme.lower() == b"basic":
                basic = password_in(credentials)
    return bearer or plain or basic


def password_in(credentials: bytes) -> bytes:
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


def digest_of(token: bytes) -> str:
    return hashlib.sha256(token).hexdigest()


def usable_key(digest: str, *, now: datetime) -> ApiKey | None:
    keys = ApiKey.objects.usable(now).select_related("project")
    key = keys.filter(digest=digest).first()
    if key and (key.last_used_at is None or key.last_used_at + NOTE_USE_EVERY < now):
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
    return key


def access_of(key: ApiKey, project: ProjectReading) -> Access:
    return Access(
        key_id=key.pk,
        project_id=key.project_id,
        scopes=frozenset(key.scopes),
        tenant=key.tenant,
        project=project,
    )


def project_reading(
    project: Project, prices: tuple[PriceReading, ...]
) -> ProjectReading:
    return ProjectReading(
        project_id=project.pk,
        slug=project.slug,
        tenant_keys=tuple(project.tenant_keys),
        fingerprint_key=bytes(project.fingerprint_key),
        raw_retention_days=project.raw_retention_days,
        prices=prices,
    )


def price_readings(project: Project) -> tuple[PriceReading, ...]:
    return tuple(
        PriceReading(
            kind=price.kind,
            target=price.target,
            unit=price.unit,
            nano_usd=price.nano_usd,
            from_ns=nanoseconds(price.valid_from),
            to_ns=nanoseconds(price.valid_to) if price.valid_to else None,
        )
        for price in Price.objects.of_project(project)
    )


def nanoseconds(moment: datetime) -> int:
    # Whole microseconds first: a float of seconds would lose the last digits.
    epoch = datetime.fromtimestamp(0, tz=moment.tzinfo)
    return (moment - epoch) // timedelta(microseconds=1) * 1000
