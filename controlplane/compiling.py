"""Policy versions as services receive them.

A version holds the rules of an environment; a service gets those of them that may be
about its calls. What was cut once is kept by the version's digest, in bounded memory,
since all instances of a service are told the same bytes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import NamedTuple

from controlplane import rulebook
from controlplane.actions import first_version
from controlplane.actions.policy import check_name
from controlplane.models import PolicyVersion
from switchgear.policy.documents.canonical import dumps
from switchgear.policy.documents.snapshot import (
    Snapshot,
    read_snapshot,
    seal,
    snapshot_document,
)
from switchgear.policy.review.changes import Sentence, sentences

MOST_CACHED_BYTES = 32 * 1024 * 1024


class Compiled(NamedTuple):
    """One service's policy, ready to be sent."""

    version: int
    digest: str
    etag: str
    body: bytes


class Cache:
    """The last used of them, up to a number of bytes."""

    def __init__(self, most: int = MOST_CACHED_BYTES) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[str, str], Compiled] = OrderedDict()
        self._bytes = 0
        self._most = most

    def get(self, key: tuple[str, str]) -> Compiled | None:
        with self._lock:
            found = self._entries.get(key)
            if found is not None:
                self._entries.move_to_end(key)
            return found

    def put(self, key: tuple[str, str], compiled: Compiled) -> None:
        with self._lock:
            if key in self._entries:
                return
            self._entries[key] = compiled
            self._bytes += len(compiled.body)
            while self._bytes > self._most and len(self._entries) > 1:
                _, oldest = self._entries.popitem(last=False)
                self._bytes -= len(oldest.body)


cache = Cache()


def snapshot_for(project_id: int, environment: str, service: str) -> Compiled:
    """What the service is told now; an environment's first question makes v1."""
    check_name("/environment", environment)
    check_name("/service", service)
    versions = PolicyVersion.objects.of_environment(project_id, environment)
    version = versions.defer("document").first()
    return compiled_for(version or first_version(project_id, environment), service)


def compiled_for(version: PolicyVersion, service: str) -> Compiled:
    """The version as the service is told it; its document is read only on a miss."""
    key = version.digest, service
    compiled = cache.get(key)
    if compiled is None:
        compiled = cut(snapshot_of(version), service)
        cache.put(key, compiled)
    return compiled


def snapshot_of(version: PolicyVersion) -> Snapshot:
    """All rules of the version; its digest is checked on the way."""
    return read_snapshot(version.document.encode())


def cut(whole: Snapshot, service: str) -> Compiled:
    rules = rulebook.concerning(
        whole.rules, environment=whole.environment, service=service
    )
    snapshot = seal(
        environment=whole.environment,
        service=service,
        version=whole.version,
        rules=rules,
        issued_at=whole.issued_at,
        rollback_of=whole.rollback_of,
    )
    body = dumps(snapshot_document(snapshot))
    return Compiled(snapshot.version, snapshot.digest, snapshot.etag, body)


def compare(before: PolicyVersion | None, after: PolicyVersion) -> list[Sentence]:
    """What the later version says differently; None is an environment without any."""
    earlier = snapshot_of(before).rules if before else ()
    return sentences(earlier, snapshot_of(after).rules)
