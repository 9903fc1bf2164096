"""How often something was tried, by what its own span says."""

from __future__ import annotations

import msgspec

from ingest.dialects.events import Told
from ingest.dialects.facts import Facts
from ingest.records import Category

ATTEMPTS_LIMIT = 10_000
_DAY_US = 86_400_000_000


class Tries(msgspec.Struct, frozen=True, gc=False):
    """``attempts`` 0 is silence; ``numbered``: it is the ordinal of this try."""

    attempts: int = 0
    numbered: bool = False
    backoff_us: int | None = None


SILENCE = Tries()


def tries(category: Category, facts: Facts, told: Told) -> Tries:
    """The largest count any evidence gives, never a sum."""
    counts = [facts.attempt or 0, facts.attempts_total or 0]
    counts += [n + 1 for n in (facts.celery_retries, facts.resends) if n is not None]
    if told.retries:
        counts.append(told.retries + 1)
    return Tries(
        attempts=min(max(counts), ATTEMPTS_LIMIT),
        numbered=facts.attempt is not None
        or facts.celery_retries is not None
        or (category is Category.HTTP and facts.resends is not None),
        backoff_us=_backoff(facts, told),
    )


def _backoff(facts: Facts, told: Told) -> int | None:
    if facts.backoff_ms is not None:
        waited = facts.backoff_ms * 1e3
    elif facts.backoff_s is not None:
        waited = facts.backoff_s * 1e6
    elif told.backoff_s is not None:
        waited = told.backoff_s * 1e6
    else:
        return None
    return int(min(waited, _DAY_US))
