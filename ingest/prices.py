"""What a span costs, in integer nano-USD, when its sender did not say.

An operator's price comes first, unit by unit; then, for models, the public price list
of genai-prices. What neither knows is unpriced: never $0 by ignorance. Amounts are
added up in pico-USD and rounded half up to one nano-USD once per span.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ingest.records import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlplane.readings import PriceReading

_PICO_IN_NANO = 1000
# USD per million tokens -> pico-USD per token; USD per thousand calls -> per call.
_PICO_PER_MTOK = Decimal(10**6)
_PICO_PER_KCOUNT = Decimal(10**9)
# Some providers price by time of day; no border is finer than this.
_SLOT_NS = 15 * 60 * 10**9
_SLOTS_KEPT = 8192
_TOKEN_UNITS = ("input_token", "output_token", "cache_read_token", "cache_write_token")

# A dated version that the list does not know costs what its model costs.
_VERSION = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{8}|\d{3,4})$")
# OpenTelemetry's provider names -> genai-prices' ids, where they differ.
_LISTED_AS = {
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "aws.bedrock": "aws",
    "gcp.vertex_ai": "google",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "mistral_ai": "mistral",
    "x_ai": "x-ai",
    "moonshot_ai": "moonshotai",
}


class Used(NamedTuple):
    """What a span did that may cost something."""

    kind: str
    target: str
    at_ns: int
    tokens: Usage | None = None
    provider: str | None = None
    model: str | None = None  # that answered
    seconds_ns: int | None = None
    units: float | None = None


class Tariff(NamedTuple):
    """Pico-USD per token, as (tokens of input above which it holds, price) levels."""

    input: tuple[tuple[int, int], ...] | None
    output: tuple[tuple[int, int], ...] | None
    cache_read: tuple[tuple[int, int], ...] | None
    cache_write: tuple[tuple[int, int], ...] | None
    reasoning: tuple[tuple[int, int], ...] | None
    call: int


class PriceBook:
    """The prices of one project; ``price_book`` keeps one per set of overrides."""

    def __init__(self, overrides: tuple[PriceReading, ...] = ()) -> None:
        self._overrides = overrides
        # Whether anything but tokens may cost: most projects price no calls.
        self.prices_calls = bool(overrides)
        self._matching: dict[tuple[str, str], tuple[PriceReading, ...]] = {}

    def cost(self, used: Used) -> int | None:
        """Nano-USD, or ``None`` when nobody knows the price."""
        said = self._said(used) if self.prices_calls else {}
        if said:
            return _nano(_by_override(used, said, _listed(used)))
        tariff = _listed(used)
        return _nano(_by_tariff(used.tokens, tariff)) if tariff else None

    def _said(self, used: Used) -> dict[str, int]:
        """Pico-USD by unit: of several prices of a unit the first that is valid."""
        key = used.kind, used.target
        matching = self._matching.get(key)
        if matching is None:
            if len(self._matching) >= _SLOTS_KEPT:
                self._matching.clear()
            matching = self._matching[key] = tuple(self._match(used))
        said: dict[str, int] = {}
        for price in matching:
            if price.from_ns <= used.at_ns and (
                price.to_ns is None or used.at_ns < price.to_ns
            ):
                said.setdefault(price.unit, price.nano_usd * _PICO_IN_NANO)
        return said

    def _match(self, used: Used) -> Iterator[PriceReading]:
        for price in self._overrides:
            if price.kind == used.kind and fnmatchcase(used.target, price.target):
                yield price


@lru_cache(maxsize=256)
def price_book(overrides: tuple[PriceReading, ...]) -> PriceBook:
    return PriceBook(overrides)


def _nano(pico: int | None) -> int | None:
    return None if pico is None else (pico + _PICO_IN_NANO // 2) // _PICO_IN_NANO


def _by_override(used: Used, said: dict[str, int], listed: Tariff | None) -> int | None:
    total = said.get("call", 0)
    if "second" in said:
        if used.seconds_ns is None:
            return None
        total += said["second"] * used.seconds_ns // 10**9
    if "unit" in said:
        if used.units is None:
            return None
        total += round(said["unit"] * used.units)
    if not any(unit in said for unit in _TOKEN_UNITS):
        return total
    by_tokens = _by_tariff(used.tokens, _merged(said, listed))
    return None if by_tokens is None else total + by_tokens


def _merged(said: dict[str, int], listed: Tariff | None) -> Tariff:
    """An operator's prices, and the list's for the units they left open."""
    known = listed or Tariff(None, None, None, None, None, 0)
    names = ("input", "output", "cache_read", "cache_write")
    own = {
        name: ((-1, said[unit]),)
        for name, unit in zip(names, _TOKEN_UNITS, strict=True)
        if unit in said
    }
    if "output" in own:
        own["reasoning"] = own["output"]
    return known._replace(call=0, **own)


def _by_tariff(tokens: Usage | None, tariff: Tariff) -> int | None:
    """Pico-USD for tokens; parts of the input and output have prices of their own."""
    if tokens is None or tokens.input is None or tariff.input is None:
        return None
    if tokens.output and tariff.output is None:
        return None
    total_input = tokens.input
    read = min(tokens.cache_read or 0, total_input)
    written = min(tokens.cache_write or 0, total_input - read)
    output = tokens.output or 0
    reasoning = min(tokens.reasoning or 0, output)

    def priced(count: int, levels: tuple[tuple[int, int], ...] | None) -> int:
        if not count or levels is None:
            return 0
        price = 0
        for start, level in levels:
            if total_input > start:
                price = level
        return count * price

    return (
        tariff.call
        + priced(total_input - read - written, tariff.input)
        + priced(read, tariff.cache_read or tariff.input)
        + priced(written, tariff.cache_write or tariff.input)
        + priced(output - reasoning, tariff.output)
        + priced(reasoning, tariff.reasoning or tariff.output)
    )


_tariffs: dict[tuple[str | None, str, int], Tariff | None] = {}


def _listed(used: Used) -> Tariff | None:
    """The public price list's tariff for a model at a time."""
    if used.tokens is None or not used.model:
        return None
    key = used.provider, used.model, used.at_ns // _SLOT_NS
    try:
        return _tariffs[key]
    except KeyError:
        if len(_tariffs) >= _SLOTS_KEPT:
            _tariffs.clear()
        tariff = _tariffs[key] = _look_up(used.provider, used.model, used.at_ns)
        return tariff


def _look_up(provider: str | None, model: str, at_ns: int) -> Tariff | None:
    # Imported here: it costs 0.3 s and most processes never price anything.
    from genai_prices.data_snapshot import get_snapshot

    listed_as = _LISTED_AS.get(provider, provider) if provider else None
    bare = model.rpartition("/")[2]
    for name in dict.fromkeys((model, bare, _VERSION.sub("", bare))):
        try:
            _, found = get_snapshot().find_provider_model(name, None, listed_as, None)
        except LookupError:
            continue
        return _tariff(found.get_prices(datetime.fromtimestamp(at_ns / 1e9, tz=UTC)))
    return None


def _tariff(prices: Any) -> Tariff | None:
    levels = {
        name: _levels(getattr(prices, f"{key}_mtok", None))
        for name, key in (
            ("input", "input"),
            ("output", "output"),
            ("cache_read", "cache_read"),
            ("cache_write", "cache_write"),
            ("reasoning", "output_reasoning"),
        )
    }
    if levels["input"] is None:
        return None
    per_call = getattr(prices, "requests_kcount", None) or Decimal(0)
    return Tariff(**levels, call=int(per_call * _PICO_PER_KCOUNT))


def _levels(price: Any) -> tuple[tuple[int, int], ...] | None:
    if price is None:
        return None
    if isinstance(price, Decimal):
        return ((-1, int(price * _PICO_PER_MTOK)),)
    tiers = ((tier.start, tier.price) for tier in price.tiers)
    return tuple(
        (start, int(level * _PICO_PER_MTOK))
        for start, level in ((-1, price.base), *tiers)
    )
