"""What instances say of the policy they have, and what we hold of them. Pure.

Running, received and failed versions are kept apart, so that after a refusal one can
still say which version runs, which was tried, and why it was not taken. Statuses may
be doubled or late: within one life of an instance nothing it said goes backwards.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta, Struct
from msgspec.structs import replace

# Something to see, and nothing that a log, a page or PostgreSQL stumbles over.
PRINTABLE = r"^(?=.*\S)[^\x00-\x1f\x7f]+\Z"
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=PRINTABLE)]
ShortName = Annotated[str, Meta(min_length=1, max_length=100, pattern=PRINTABLE)]
Version = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Digest = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}\Z")]

LONGEST_RULE = 100
LONGEST_POINTER = 300
LONGEST_ERROR = 1000


class Failed(Struct, frozen=True):
    """A version that was not taken, and why; long words are cut, never refused."""

    version: Version
    rule: str | None = None
    pointer: str | None = None
    error: str | None = None


class Report(Struct, frozen=True):
    """One status of one instance."""

    instance_uid: Name
    boot_id: ShortName
    service: Name
    environment: ShortName = "default"
    sdk: Annotated[str, Meta(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*\Z")] = ""
    state: Literal["RECEIVED", "APPLIED", "REJECTED"] | None = None
    running_version: Version | None = None
    running_digest: Digest | None = None
    received_version: Version | None = None
    digest: Digest | None = None  # of the received version
    failed: Failed | None = None


class Held(Struct, frozen=True):
    """What we know of an instance; its fields are the columns of its row."""

    boot_id: str
    sdk: str = ""
    state: str | None = None
    running_version: int | None = None
    running_digest: str = ""
    received_version: int | None = None
    received_digest: str = ""
    failed_version: int | None = None
    failed_digest: str = ""
    failed_rule: str = ""
    failed_pointer: str = ""
    failed_error: str = ""


class Key(NamedTuple):
    """Which instance; the project is that of its API key."""

    project_id: int
    environment: str
    service: str
    uid: str


def key_of(project_id: int, report: Report) -> Key:
    return Key(project_id, report.environment, report.service, report.instance_uid)


def merged(held: Held | None, report: Report) -> Held:
    """What we know once the report is in."""
    if held is None or held.boot_id != report.boot_id:
        # A new life, maybe of a newer SDK: it may try what the last one refused.
        held = Held(report.boot_id)
    elif _is_late(held, report):
        return held
    told = replace(
        held,
        sdk=report.sdk,
        state=report.state,
        running_version=report.running_version,
        running_digest=_running_digest(held, report),
        received_version=report.received_version,
        received_digest=_received_digest(held, report),
    )
    return replace(told, **_failure(told, report))


def _is_late(held: Held, report: Report) -> bool:
    """Whether it was overtaken by what the same life of the instance said later."""
    received, before = report.received_version or 0, held.received_version or 0
    if received != before:
        return received < before
    is_verdict = report.state in {"APPLIED", "REJECTED"}
    return held.state in {"APPLIED", "REJECTED"} and not is_verdict


def _received_digest(held: Held, report: Report) -> str:
    if report.digest is not None:
        return report.digest
    same = report.received_version == held.received_version
    return held.received_digest if same else ""


def _running_digest(held: Held, report: Report) -> str:
    if report.running_version is None:
        return ""
    if report.running_digest is not None:
        return report.running_digest
    if report.running_version == report.received_version and report.digest is not None:
        return report.digest
    same = report.running_version == held.running_version
    return held.running_digest if same else ""


def _failure(held: Held, report: Report) -> dict[str, Any]:
    failed = report.failed
    if failed is None and report.state == "REJECTED":
        if held.failed_version == report.received_version:
            return {}  # and why was said before
        failed = Failed(report.received_version or 0)
    if failed is not None:
        return {
            "failed_version": failed.version,
            "failed_digest": _failed_digest(held, failed),
            "failed_rule": _words(failed.rule, LONGEST_RULE),
            "failed_pointer": _words(failed.pointer, LONGEST_POINTER),
            "failed_error": _words(failed.error, LONGEST_ERROR),
        }
    if held.failed_version and held.failed_version == held.running_version:
        # It has taken it after all.
        return {name: getattr(_NOTHING, name) for name in _FAILURE}
    return {}


def _failed_digest(held: Held, failed: Failed) -> str:
    if failed.version == held.received_version:
        return held.received_digest
    return held.failed_digest if failed.version == held.failed_version else ""


def _words(text: str | None, longest: int) -> str:
    # PostgreSQL takes no NUL.
    return (text or "").replace("\0", "")[:longest]


_NOTHING = Held("")
_FAILURE = tuple(name for name in Held.__struct_fields__ if name.startswith("failed_"))
