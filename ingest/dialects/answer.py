"""What a model answered with: usage, cost as reported, first token, response id."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from ingest.dialects.events import Told
from ingest.records import Usage

_NANO = 1_000_000_000
_DAY_US = 86_400_000_000
_ID_IN_ANSWER = re.compile(r'"id": ?"((?:chatcmpl-|resp_|msg_)[^"]{1,200})"')
_ANSWER_SEARCHED = 65_536
_USAGE_FIELDS = frozenset({"input", "output", "cache_read", "cache_write", "reasoning"})


def usage(facts: dict[str, Any], *, failed: bool) -> Usage | None:
    """Usage and cost as the span reports them; ``None`` when it reports neither."""
    if _USAGE_FIELDS.isdisjoint(facts) and "cost_usd" not in facts:
        return None
    get = facts.get
    tokens = get("input"), get("output"), get("cache_read"), get("cache_write")
    used = Usage(*tokens, get("reasoning"), _reported_cost(facts, failed=failed))
    return None if used == _NO_USAGE else used


_NO_USAGE = Usage()


def _reported_cost(facts: dict[str, Any], *, failed: bool) -> int | None:
    """Nano-USD. Zero beside tokens is what senders write when they do not know."""
    cost = facts.get("cost_usd")
    if cost is None or facts.get("cost_currency", "USD") != "USD":
        return None
    if cost == 0 and (failed or facts.get("input") or facts.get("output")):
        return None
    return int(cost * _NANO + 0.5) if cost < _NANO else None


def first_token_us(
    facts: dict[str, Any], told: Told, *, start_ns: int, milliseconds: bool
) -> int | None:
    """Time to the first token, whatever unit it was told in."""
    found: float | None = None
    if (seconds := facts.get("ttft_s")) is not None:
        found = seconds * 1e6
    elif (millis := facts.get("ttft_ms")) is not None:
        found = millis * 1e3
    elif (server := facts.get("ttft_server")) is not None:
        found = server * (1e3 if milliseconds else 1e6)
    elif (at := facts.get("first_token_at")) is not None:
        found = _since(at, start_ns)
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


def response_id(facts: dict[str, Any]) -> str | None:
    """The provider's id, if need be out of the answer itself."""
    said: str | None = facts.get("answer_id")
    if said is None and "answer" in facts:
        match = _ID_IN_ANSWER.search(facts["answer"].string_value, 0, _ANSWER_SEARCHED)
        said = match[1] if match else None
    return said
