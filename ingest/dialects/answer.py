"""What a model answered with: usage, cost as reported, first token, response id."""

from __future__ import annotations

import re
from datetime import datetime

from ingest.dialects.events import Told
from ingest.dialects.facts import Facts
from ingest.records import Usage

_NANO = 1_000_000_000
_DAY_US = 86_400_000_000
_ID_IN_ANSWER = re.compile(r'"id": ?"((?:chatcmpl-|resp_|msg_)[^"]{1,200})"')
_ANSWER_SEARCHED = 65_536

_NO_USAGE = Usage()


def usage(facts: Facts, *, failed: bool) -> Usage | None:
    """Usage and cost as the span reports them; ``None`` when it reports neither."""
    used = Usage(
        facts.input,
        facts.output,
        facts.cache_read,
        facts.cache_write,
        facts.reasoning,
        _reported_cost(facts, failed=failed),
    )
    return None if used == _NO_USAGE else used


def _reported_cost(facts: Facts, *, failed: bool) -> int | None:
    """Nano-USD. Zero beside tokens is what senders write when they do not know."""
    cost = facts.cost_usd
    if cost is None or (facts.cost_currency or "USD") != "USD":
        return None
    if cost == 0 and (failed or facts.input or facts.output):
        return None
    return int(cost * _NANO + 0.5) if cost < _NANO else None


def first_token_us(
    facts: Facts, told: Told, *, start_ns: int, milliseconds: bool
) -> int | None:
    """Time to the first token, whatever unit it was told in."""
    found: float | None = None
    if facts.ttft_s is not None:
        found = facts.ttft_s * 1e6
    elif facts.ttft_ms is not None:
        found = facts.ttft_ms * 1e3
    elif facts.ttft_server is not None:
        found = facts.ttft_server * (1e3 if milliseconds else 1e6)
    elif facts.first_token_at is not None:
        found = _since(facts.first_token_at, start_ns)
    elif told.first_token_ns:
        found = (told.first_token_ns - start_ns) / 1000
    return int(found) if found is not None and 0 <= found <= _DAY_US else None


def _since(at: str, start_ns: int) -> float | None:
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return moment.timestamp() * 1e6 - start_ns / 1000


def response_id(facts: Facts) -> str | None:
    """The provider's id, if need be out of the answer itself."""
    if facts.answer_id is not None or facts.answer is None:
        return facts.answer_id
    match = _ID_IN_ANSWER.search(facts.answer.string_value, 0, _ANSWER_SEARCHED)
    return match[1] if match else None
