"""Where a span comes from and how its project wants it read."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.dialects.plan import Dictionary
from ingest.prices import PriceBook


@dataclass(frozen=True, slots=True)
class Reading:
    """What a project decides about how its spans are read."""

    project_id: int
    tenant: str | None  # the key is bound to it
    tenant_keys: tuple[str, ...]
    fingerprint_key: bytes
    price_book: PriceBook
    oldest_ns: int  # spans that ended before are refused


@dataclass(frozen=True, slots=True)
class Source:
    """What all spans of one scope have in common."""

    reading: Reading
    dictionary: Dictionary
    received_ns: int
    latest_ns: int  # a time beyond is in the future
    service: str
    environment: str | None
    tenant: str | None  # of the resource, the last to be asked
    scope: str
    native: bool
    milliseconds: bool
