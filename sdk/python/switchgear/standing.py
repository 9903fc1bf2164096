"""Which policy runs here, which came last, and which could not be applied, kept apart.

What was rejected is left alone for a while, the longer the oftener it is tried, and
stays in the report after something else was applied: an operator sees that it was
tried. A version never goes back: rolling back is a new version.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

# How long a rejected digest is left alone, by how often it was rejected.
LADDER_S = (60.0, 300.0, 900.0)
_ERROR_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Failed:
    """A policy that could not be applied here, and why."""

    digest: str
    version: int | None
    rule: str | None
    pointer: str
    error: str
    times: int
    again_at: float


@dataclass(frozen=True, slots=True)
class Standing:
    """Where this instance stands; ``None`` is "nothing yet"."""

    running_version: int | None = None
    running_digest: str | None = None
    received_version: int | None = None
    received_digest: str | None = None
    failed: Failed | None = None

    def applied(self, version: int, digest: str) -> Standing:
        failed = self.failed
        if failed is not None and failed.digest == digest:
            failed = None
        return Standing(version, digest, version, digest, failed)

    def rejected(
        self,
        digest: str,
        error: str,
        *,
        now: float,
        version: int | None = None,
        rule: str | None = None,
        pointer: str = "",
    ) -> Standing:
        last = self.failed
        times = last.times + 1 if last is not None and last.digest == digest else 1
        again_at = now + LADDER_S[min(times, len(LADDER_S)) - 1]
        failed = Failed(
            digest, version, rule, pointer, error[:_ERROR_LIMIT], times, again_at
        )
        if version is None:  # no policy at all, so none was received
            return replace(self, failed=failed)
        return replace(
            self, received_version=version, received_digest=digest, failed=failed
        )

    def known(self, now: float) -> tuple[str, ...]:
        """Digests that need not be sent: what runs, and what is left alone."""
        found = (self.running_digest,) if self.running_digest else ()
        if self.failed is not None and now < self.failed.again_at:
            return (*found, self.failed.digest)
        return found

    def report(self) -> dict[str, object]:
        """The part of a status report that says all this."""
        failed = self.failed
        if failed is not None and failed.version is None:
            failed = None
        rejected = failed is not None and failed.digest == self.received_digest
        applied = "APPLIED" if self.received_digest else None
        return {
            "state": "REJECTED" if rejected else applied,
            "running_version": self.running_version,
            "running_digest": self.running_digest,
            "received_version": self.received_version,
            "digest": self.received_digest,
            "failed": failed
            and {
                "version": failed.version,
                "digest": failed.digest,
                "rule": failed.rule,
                "pointer": failed.pointer,
                "error": failed.error,
            },
        }
