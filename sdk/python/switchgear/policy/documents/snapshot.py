"""One immutable, numbered version of a policy, as instances receive and keep it.

The digest is the SHA-256 of the canonical document without it, and its ETag. What
publishes (strict) is held to smaller sizes than what obeys, so that no snapshot which
was published is ever too large for a client.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

from switchgear.policy.documents import canonical
from switchgear.policy.documents.reading import (
    Document,
    mapping,
    read_rule,
    refuse_unknown,
    rule_document,
)
from switchgear.policy.documents.values import (
    members_of,
    number_from_one,
    text,
    time_seconds,
    time_text,
)
from switchgear.policy.errors import PolicyError, step
from switchgear.policy.rules import KINDS, CircuitBreaker, Rule

API_VERSION = "policy.v1"
MAX_RULES = 2000
MAX_BYTES = 2**20
_DIGEST_BYTES = len(f',"digest":"sha256:{sha256().hexdigest()}"')
# A client takes so many times more.
_LENIENCE = 4
_REQUIRED = (
    "api_version",
    "environment",
    "service",
    "version",
    "issued_at",
    "must_understand",
    "rules",
    "digest",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The rules of one environment that can concern a service (empty: any service)."""

    environment: str
    service: str
    version: int
    rules: tuple[Rule, ...]
    issued_at: float
    rollback_of: int | None = None
    # An instance that does not know one of these kinds must not run the snapshot.
    must_understand: tuple[str, ...] = ()
    digest: str = ""

    @property
    def etag(self) -> str:
        return f'"{self.digest}"'


def seal(
    *,
    environment: str,
    service: str,
    version: int,
    rules: Iterable[Rule],
    issued_at: float,
    rollback_of: int | None = None,
) -> Snapshot:
    """A snapshot with its digest, within the sizes that every client takes."""
    listed = tuple(rules)
    snapshot = Snapshot(
        environment=environment,
        service=service,
        version=version,
        rules=listed,
        issued_at=issued_at,
        rollback_of=rollback_of,
        must_understand=_protecting(listed),
    )
    _check_count(len(listed), MAX_RULES)
    body = _undigested(snapshot_document(snapshot))
    _check_size(len(body) + _DIGEST_BYTES, MAX_BYTES)
    return replace(snapshot, digest=_digest(body))


def _protecting(rules: Iterable[Rule]) -> tuple[str, ...]:
    kinds = {type(rule) for rule in rules}
    return tuple(
        name
        for name, kind in KINDS.items()
        if kind in kinds and (kind.LIMITING or kind is CircuitBreaker)
    )


def digest_of(document: Mapping[str, object]) -> str:
    """`sha256:...` of a document, whatever digest it claims."""
    return _digest(_undigested(document))


def _undigested(document: Mapping[str, object]) -> bytes:
    rest = {name: each for name, each in document.items() if name != "digest"}
    return canonical.dumps(rest)


def _digest(body: bytes) -> str:
    return f"sha256:{sha256(body).hexdigest()}"


def snapshot_document(snapshot: Snapshot) -> dict[str, object]:
    document: dict[str, object] = {
        "api_version": API_VERSION,
        "environment": snapshot.environment,
        "service": snapshot.service,
        "version": snapshot.version,
        "issued_at": time_text(snapshot.issued_at),
        "must_understand": list(snapshot.must_understand),
        "rules": [rule_document(rule) for rule in snapshot.rules],
        "digest": snapshot.digest,
    }
    if snapshot.rollback_of is not None:
        document["rollback_of"] = snapshot.rollback_of
    return document


def read_snapshot(body: object, *, strict: bool = False) -> Snapshot:
    """The snapshot a document or its bytes describe, if its digest is right."""
    document = _document(body, MAX_BYTES if strict else MAX_BYTES * _LENIENCE)
    for name in _REQUIRED:
        if name not in document:
            raise PolicyError(step("", name), "is required")
    if document["api_version"] != API_VERSION:
        raise PolicyError("/api_version", f"must be {API_VERSION}")
    if document["digest"] != digest_of(document):
        raise PolicyError("/digest", "is not that of this document")
    if strict:
        refuse_unknown(document, (*_REQUIRED, "rollback_of"), "")
    return _snapshot(document, strict=strict)


def _document(body: object, most: int) -> Document:
    if isinstance(body, bytes):
        _check_size(len(body), most)
        return mapping(canonical.loads(body), "")
    document = mapping(body, "")
    _check_size(len(canonical.dumps(document)), most)
    return document


def _snapshot(document: Document, *, strict: bool) -> Snapshot:
    given = document.get("rollback_of")
    back = (
        None
        if "rollback_of" not in document
        else number_from_one(given, "/rollback_of")
    )
    must_understand = _must_understand(document["must_understand"])
    service = document["service"]
    return Snapshot(
        environment=text(document["environment"], "/environment"),
        service=service if service == "" else text(service, "/service"),
        version=number_from_one(document["version"], "/version"),
        rules=_rules(document["rules"], must_understand, strict=strict),
        issued_at=time_seconds(document["issued_at"], "/issued_at"),
        rollback_of=back,
        must_understand=must_understand,
        digest=document["digest"],
    )


def _must_understand(value: object) -> tuple[str, ...]:
    names = members_of(value, "/must_understand", least=None, most=100)
    return tuple(
        text(name, step("/must_understand", index)) for index, name in enumerate(names)
    )


def _rules(
    value: object, must_understand: tuple[str, ...], *, strict: bool
) -> tuple[Rule, ...]:
    documents = members_of(value, "/rules", least=None, most=None)
    _check_count(len(documents), MAX_RULES if strict else MAX_RULES * _LENIENCE)
    rules: dict[str, Rule] = {}
    for index, each in enumerate(documents):
        at = step("/rules", index)
        if not strict and _passed_over(mapping(each, at), must_understand):
            continue
        rule = read_rule(each, strict=strict, at=at)
        if rule.id in rules:
            raise PolicyError(step(at, "id"), f"{rule.id} is there twice", rule.id)
        rules[rule.id] = rule
    return tuple(rules.values())


def _passed_over(document: Document, must_understand: tuple[str, ...]) -> bool:
    kind = document.get("kind")
    return isinstance(kind, str) and kind not in (*KINDS, *must_understand)


def _check_count(rules: int, most: int) -> None:
    if rules > most:
        raise PolicyError("/rules", f"must be at most {most} rules, not {rules}")


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise PolicyError("", f"must be at most {most} bytes, not {size}")
