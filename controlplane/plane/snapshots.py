"""The snapshot of a service as it leaves the server, and who refused it.

Each is put into bytes once per version: the body, the body in gzip, the event of the
stream. When the database is down, the last one that was read is still good.
"""

from __future__ import annotations

import gzip
import json
import logging
from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from django.db import DatabaseError
from django.db.models import Q

from controlplane import compiling
from controlplane.compiling import Compiled
from controlplane.models import Instance
from controlplane.plane import threads
from controlplane.plane.sharing import SharedReads

logger = logging.getLogger(__name__)

MOST_KEPT_BYTES = 64 * 1024 * 1024
WORTH_ZIPPING = 1_000  # bytes


class Place(NamedTuple):
    """Whose policy."""

    project_id: int
    environment: str
    service: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    version: int
    digest: str
    etag: bytes
    body: bytes
    zipped: bytes | None
    event: bytes
    refused_by: frozenset[str]  # instances that said they cannot apply it

    @property
    def size(self) -> int:
        return len(self.body) + len(self.zipped or b"")


class Snapshots:
    def __init__(self, most: int = MOST_KEPT_BYTES) -> None:
        # A service is whatever name is asked for, and each may weigh 1 MiB.
        self._kept: OrderedDict[Place, Snapshot] = OrderedDict()
        self._bytes, self._most = 0, most
        self._shared = SharedReads(self._read)

    async def get(self, place: Place) -> Snapshot:
        """The newest, as of now or later."""
        return await self._shared.get(place)

    async def _read(self, place: Place) -> Snapshot:
        kept = self._kept.get(place)
        try:
            snapshot = await threads.reading(partial(read, place, kept))
        except DatabaseError:
            if kept is None:
                raise
            logger.warning("plane.database_failed")
            return kept
        self._keep(place, snapshot)
        return snapshot

    def _keep(self, place: Place, snapshot: Snapshot) -> None:
        before = self._kept.pop(place, None)
        self._kept[place] = snapshot
        self._bytes += snapshot.size - (before.size if before else 0)
        while self._bytes > self._most and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.size


def read(place: Place, kept: Snapshot | None) -> Snapshot:
    compiled = compiling.snapshot_for(*place)
    refused_by = refusers(place, compiled)
    if kept is not None and kept.digest == compiled.digest:
        return replace(kept, refused_by=refused_by)
    return in_bytes(compiled, refused_by)


def refusers(place: Place, compiled: Compiled) -> frozenset[str]:
    # Who did not say the digest means the version.
    unsaid = Q(failed_digest="", failed_version=compiled.version)
    refused = Instance.objects.filter(
        Q(failed_digest=compiled.digest) | unsaid,
        project_id=place.project_id,
        environment=place.environment,
        service=place.service,
    )
    return frozenset(refused.values_list("uid", flat=True))


def in_bytes(compiled: Compiled, refused_by: frozenset[str]) -> Snapshot:
    return Snapshot(
        version=compiled.version,
        digest=compiled.digest,
        etag=compiled.etag.encode(),
        body=compiled.body,
        zipped=zipped(compiled.body),
        event=policy_event(compiled.version, compiled.digest),
        refused_by=refused_by,
    )


def zipped(body: bytes) -> bytes | None:
    # No time in it: equal snapshots of two processes are equal bytes.
    return gzip.compress(body, mtime=0) if len(body) >= WORTH_ZIPPING else None


def policy_event(version: int, digest: str) -> bytes:
    data = json.dumps({"version": version, "digest": digest}, separators=(",", ":"))
    return f"event: policy\nid: {version}\ndata: {data}\n\n".encode()
