"""What an API key stands for, as values that pure rooms may hold.

Read from the database by ``controlplane.keys`` and good for a few seconds; nothing
here knows a framework.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PriceReading:
    """An operator's price for one unit of what targets matching ``target`` do.

    ``unit`` is call, second, unit, input_token, output_token, cache_read_token or
    cache_write_token. Valid from ``from_ns`` to before ``to_ns`` (None: for ever).
    """

    kind: str
    target: str  # a glob
    unit: str
    nano_usd: int
    from_ns: int
    to_ns: int | None


@dataclass(frozen=True, slots=True)
class ProjectReading:
    project_id: int
    slug: str
    tenant_keys: tuple[str, ...]  # configured attribute keys, the most trusted first
    fingerprint_key: bytes  # 32 random bytes for keyed hashes
    raw_retention_days: int
    prices: tuple[PriceReading, ...]  # in the order they are tried


@dataclass(frozen=True, slots=True)
class Access:
    """What one request may do: the key proved who it is."""

    key_id: int
    project_id: int
    scopes: frozenset[str]  # of ingest, read, policy, write
    tenant: str | None  # a key bound to a tenant speaks for it alone
    project: ProjectReading
