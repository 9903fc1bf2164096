"""How often something was tried, by what its own span says."""

from __future__ import annotations

from typing import Any, NamedTuple

from ingest.dialects.events import Told
from ingest.records import Category

_ORDINAL = frozenset({"attempt", "celery_retries"})
ATTEMPTS_LIMIT = 10_000
_DAY_US = 86_400_000_000


class Tries(NamedTuple):
    """``attempts`` 0 is silence; ``numbered``: it is the ordinal of this try."""

    attempts: int = 0
    numbered: bool = False
    backoff_us: int | None = None


def tries(category: Category, facts: dict[str, Any], told: Told) -> Tries:
    """The largest count any evidence gives, never a sum."""
    counts = [facts.get("attempt", 0), facts.get("attempts_total", 0)]
    counts += [
        facts[name] + 1 for name in ("celery_retries", "resends") if name in facts
    ]
    if told.retries:
        counts.append(told.retries + 1)
    return Tries(
        attempts=min(max(counts), ATTEMPTS_LIMIT),
        numbered=not _ORDINAL.isdisjoint(facts)
        or (category is Category.HTTP and "resends" in facts),
        backoff_us=_backoff(facts, told),
    )


def _backoff(facts: dict[str, Any], told: Told) -> int | None:
    if "backoff_ms" in facts:
        waited = facts["backoff_ms"] * 1e3
    elif "backoff_s" in facts:
        waited = facts["backoff_s"] * 1e6
    elif told.backoff_s is not None:
        waited = told.backoff_s * 1e6
    else:
        return None
    return int(min(waited, _DAY_US))
