"""What becomes of a policy that arrived: applied, trusted, stored; or left alone.

    received -> applied -> soaked and trusted
             \\-> rejected   \\-> broke at work: back to the trusted one

Nothing that could not be read and applied as a whole ever replaces what runs, and
nothing on disk is replaced by something that did not run.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from switchgear.cache import CURRENT, LAST_GOOD, Cache
from switchgear.policy.documents.snapshot import Snapshot, read_snapshot
from switchgear.policy.errors import PolicyError
from switchgear.standing import Standing
from switchgear.trouble import Trouble

# A policy that ran so long is one to come back to.
SOAK_S = 60.0


class Holder(Protocol):
    """Who holds the policy that runs."""

    def adopt(self, snapshot: Snapshot) -> None:
        """Run this policy from the next call on, or raise what is wrong with it."""

    def trust(self) -> None:
        """Come back to the policy that runs, should a later one break."""

    def broken(self) -> str | None:
        """How the policy that runs broke at work, if it was not trusted yet."""

    def fall_back(self) -> Snapshot | None:
        """Run the trusted policy again, or none."""


class Keeper:
    """The policies of one instance, those on its disk included."""

    def __init__(
        self,
        holder: Holder,
        cache: Cache | None,
        *,
        service: str,
        environment: str,
        trouble: Trouble,
        timing: Callable[[], float],
    ) -> None:
        self._holder, self._cache = holder, cache
        self._service, self._environment = service, environment
        self._trouble, self._timing = trouble, timing
        self._running: Snapshot | None = None
        self._soaking: tuple[float, bytes] | None = None  # until when, and what
        self.standing = Standing()

    def boot(self) -> None:
        """Run what ran last time, before anything is asked of anybody.

        The trusted one comes first: should the other break, it is there to run again.
        """
        if self._run_from(LAST_GOOD):
            self._soaking = None
            self._holder.trust()
        self._run_from(CURRENT)

    def _run_from(self, name: str) -> bool:
        try:
            body = self._cache.read(name) if self._cache else None
            if body is None:
                return False
            snapshot = read_snapshot(body)
            is_running = snapshot.digest == self.standing.running_digest
            if is_running or self._overtaken(snapshot):
                return False
            self._apply(snapshot, body)
        except Exception as error:  # noqa: BLE001  any file may hold anything
            self._trouble.say("cache", f"{name} cannot be used: {error!r}")
            return False
        return True

    def known(self) -> tuple[str, ...]:
        """Digests that need not be sent."""
        return self.standing.known(self._timing())

    def is_news(self, digest: object) -> bool:
        """Whether a hint is a reason to look."""
        return digest not in self.known()

    def take(self, body: bytes, digest: str) -> bool:
        """Apply what was fetched, if it can be; ``True``: that is worth a report."""
        if digest in self.known():
            return False  # from a server that does not heed what it is told
        try:
            snapshot = read_snapshot(body)
            if self._overtaken(snapshot):
                return False
            self._apply(snapshot, body)
        except Exception as error:  # noqa: BLE001  any answer may hold anything
            self._reject(digest, error, _version_in(body))
        else:
            self._store(CURRENT, body)
        return True

    def look_back(self) -> bool:
        """Trust a policy that ran well, leave one that broke; ``True``: report that."""
        if self._soaking is None:
            return False
        until, body = self._soaking
        if (error := self._holder.broken()) is not None:
            self._come_back(error)
            return True
        if self._timing() >= until:
            self._soaking = None
            self._holder.trust()
            self._store(LAST_GOOD, body)
        return False

    def _overtaken(self, snapshot: Snapshot) -> bool:
        """Whether it is older than what runs, in number and in time.

        A lower number that was issued later is no step back: the control plane began
        to count anew, or was restored from a backup.
        """
        running = self._running
        if running is None or snapshot.version >= running.version:
            return False
        if snapshot.issued_at > running.issued_at:
            return False
        older, newer = snapshot.version, running.version
        self._trouble.say("overtaken", f"version {older} came while {newer} runs")
        return True

    def _apply(self, snapshot: Snapshot, body: bytes) -> None:
        if snapshot.environment != self._environment:
            raise PolicyError("/environment", f"must be {self._environment}")
        if snapshot.service not in ("", self._service):
            raise PolicyError("/service", f"must be {self._service}")
        self._holder.adopt(snapshot)
        self._running = snapshot
        self._soaking = self._timing() + SOAK_S, body
        self.standing = self.standing.applied(snapshot.version, snapshot.digest)

    def _come_back(self, error: str) -> None:
        """An older policy that works is better than a new one that does not."""
        self._soaking = None
        left = self.standing
        trusted = self._running = self._holder.fall_back()
        if trusted is None:
            self.standing = Standing()
        else:
            self.standing = Standing().applied(trusted.version, trusted.digest)
        self._reject(left.running_digest or "", error, left.running_version)

    def _reject(self, digest: str, error: Exception | str, version: int | None) -> None:
        where = error if isinstance(error, PolicyError) else None
        self.standing = self.standing.rejected(
            digest,
            str(error) or repr(error),
            now=self._timing(),
            version=version,
            rule=where.rule if where else None,
            pointer=where.pointer if where else "",
        )
        name = "a policy" if version is None else f"policy version {version}"
        self._trouble.say("rejected", f"{name} cannot be applied here: {error}")

    def _store(self, name: str, body: bytes) -> None:
        if self._cache is None:
            return
        try:
            self._cache.write(name, body)
        except OSError as error:
            self._trouble.say("cache", f"the policy cannot be kept on disk: {error}")
        else:
            self._trouble.over("cache")


def _version_in(body: bytes) -> int | None:
    """The version of a document that could not be applied, if that much is legible."""
    with suppress(ValueError, RecursionError):
        document = json.loads(body)
        version = document.get("version") if isinstance(document, dict) else None
        if isinstance(version, int):
            return version
    return None
