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
from threading import Event
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from controlplane.readings import PriceReading
    from ingest.records import Usage

_PICO_IN_NANO = 1000
_NS_IN_SECOND = 10**9
# USD per million tokens -> pico-USD per token; USD per thousand calls -> per call.
_PICO_PER_MTOK = Decimal(10**6)
_PICO_PER_KCOUNT = Decimal(10**9)
# Some providers price by time of day; no border is finer than this.
_SLOT_NS = 15 * 60 * 10**9
_KEPT = 8192

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


class Rates(NamedTuple):
    """Pico-USD per token; ``output`` is ``None`` where answers have no price."""

    input: int
    output: int | None
    cache_read: int
    cache_write: int
    reasoning: int | None


class Tariff(NamedTuple):
    """Rates by size: those of the last level whose bound the input exceeds hold."""

    levels: tuple[tuple[int, Rates], ...]
    call: int = 0


class PriceBook:
    """The prices of one project; ``price_book`` keeps one per set of overrides."""

    def __init__(self, overrides: tuple[PriceReading, ...] = ()) -> None:
        self._overrides = overrides
        # Whether anything but tokens may cost: most projects price no calls.
        self.prices_calls = bool(overrides)
        self._matching: dict[tuple[str, str], tuple[PriceReading, ...]] = {}

    def cost(  # one keyword per thing that may cost something
        self,
        *,
        kind: str,
        target: str,
        at_ns: int,
        tokens: Usage | None = None,
        provider: str | None = None,
        model: str | None = None,
        lasted_ns: int | None = None,
        units: float | None = None,
    ) -> int | None:
        """Nano-USD, or ``None`` when nobody knows the price."""
        tariff = _listed(provider, model, at_ns) if tokens and model else None
        said = self._said(kind, target, at_ns) if self.prices_calls else None
        if not said:
            return _nano(_by_tokens(tokens, tariff))
        total = said.get("call", 0)
        if "second" in said:
            if lasted_ns is None:
                return None
            total += said["second"] * lasted_ns // _NS_IN_SECOND
        if "unit" in said:
            if units is None:
                return None
            total += round(said["unit"] * units)
        if not _TOKEN_UNITS.isdisjoint(said):
            by_tokens = _by_tokens(tokens, _overridden(said, tariff))
            if by_tokens is None:
                return None
            total += by_tokens
        return _nano(total)

    def _said(self, kind: str, target: str, at_ns: int) -> dict[str, int]:
        """Pico-USD by unit: of several prices of a unit the first that is valid."""
        matching = self._matching.get((kind, target))
        if matching is None:
            if len(self._matching) >= _KEPT:
                self._matching.clear()
            matching = self._matching[kind, target] = tuple(
                price
                for price in self._overrides
                if price.kind == kind and fnmatchcase(target, price.target)
            )
        said: dict[str, int] = {}
        for price in matching:
            if price.from_ns <= at_ns and (price.to_ns is None or at_ns < price.to_ns):
                said.setdefault(price.unit, price.nano_usd * _PICO_IN_NANO)
        return said


@lru_cache(maxsize=256)
def price_book(overrides: tuple[PriceReading, ...]) -> PriceBook:
    return PriceBook(overrides)


def _nano(pico: int | None) -> int | None:
    return None if pico is None else (pico + _PICO_IN_NANO // 2) // _PICO_IN_NANO


def _by_tokens(tokens: Usage | None, tariff: Tariff | None) -> int | None:
    """Pico-USD for tokens; parts of the input and output have prices of their own."""
    if tokens is None or tariff is None or tokens.input is None:
        return None
    total, rates = tokens.input, tariff.levels[0][1]
    for bound, level in tariff.levels:
        if total > bound:
            rates = level
    read = written = 0
    if tokens.cache_read:
        read = min(tokens.cache_read, total)
    if tokens.cache_write:
        written = min(tokens.cache_write, total - read)
    cost = (
        tariff.call
        + (total - read - written) * rates.input
        + read * rates.cache_read
        + written * rates.cache_write
    )
    output = tokens.output
    if not output:
        return cost
    if rates.output is None or rates.reasoning is None:
        return None
    reasoning = min(tokens.reasoning or 0, output)
    return cost + (output - reasoning) * rates.output + reasoning * rates.reasoning


_TOKEN_UNITS = frozenset(
    {"input_token", "output_token", "cache_read_token", "cache_write_token"}
)


def _overridden(said: dict[str, int], listed: Tariff | None) -> Tariff | None:
    """An operator's prices, and the list's for the units they left open."""
    if listed is None:
        if "input_token" not in said:
            return None
        listed = Tariff(((-1, _rates(said["input_token"], None, None, None, None)),))
    return Tariff(
        tuple(
            (
                bound,
                _rates(
                    said.get("input_token", old.input),
                    said.get("output_token", old.output),
                    said.get("cache_read_token", old.cache_read),
                    said.get("cache_write_token", old.cache_write),
                    said.get("output_token", old.reasoning),
                ),
            )
            for bound, old in listed.levels
        )
    )


def _rates(
    paid: int,
    output: int | None,
    read: int | None,
    written: int | None,
    why: int | None,
) -> Rates:
    """Parts without a price of their own cost what the whole costs."""
    return Rates(
        paid,
        output,
        paid if read is None else read,
        paid if written is None else written,
        output if why is None else why,
    )


_warmed = Event()
is_warm = _warmed.is_set


def warm() -> None:
    """Read the public list, which takes half a second and 40 MB, before it is needed.

    For a thread, when the first export arrives: an event loop could not wait for it,
    and a server that nobody sends to should not pay for it.
    """
    if not is_warm():
        _look_up(None, "", 0)
        _warmed.set()


_tariffs: dict[tuple[str | None, str, int], Tariff | None] = {}


def _listed(provider: str | None, model: str, at_ns: int) -> Tariff | None:
    """The public price list's tariff for a model at a time, remembered."""
    key = provider, model, at_ns // _SLOT_NS
    if key in _tariffs:
        return _tariffs[key]
    if len(_tariffs) >= _KEPT:
        _tariffs.clear()
    tariff = _tariffs[key] = _look_up(provider, model, at_ns)
    return tariff


def _look_up(provider: str | None, model: str, at_ns: int) -> Tariff | None:
    # Imported here: it costs 0.3 s and many processes never price anything.
    from genai_prices.data_snapshot import get_snapshot

    listed_as = _LISTED_AS.get(provider, provider) if provider else None
    bare = model.rpartition("/")[2]
    for name in dict.fromkeys((model, bare, _VERSION.sub("", bare))):
        try:
            _, found = get_snapshot().find_provider_model(name, None, listed_as, None)
        except LookupError:
            continue
        at = datetime.fromtimestamp(at_ns / _NS_IN_SECOND, tz=UTC)
        return _tariff(found.get_prices(at))
    return None


def _tariff(prices: Any) -> Tariff | None:
    """A listed price with all its levels; no input price is no price."""
    units = [
        getattr(prices, f"{name}_mtok", None)
        for name in ("input", "output", "cache_read", "cache_write", "output_reasoning")
    ]
    if units[0] is None:
        return None
    bounds = {tier.start for unit in units for tier in getattr(unit, "tiers", ())}
    per_call = getattr(prices, "requests_kcount", None)
    return Tariff(
        tuple(
            (bound, _rates(_pico(units[0], bound) or 0, *_parts(units[1:], bound)))
            for bound in sorted(bounds | {-1})
        ),
        call=int(per_call * _PICO_PER_KCOUNT) if isinstance(per_call, Decimal) else 0,
    )


def _parts(units: list[Any], bound: int) -> tuple[int | None, ...]:
    return tuple(_pico(unit, bound) for unit in units)


def _pico(unit: Any, bound: int) -> int | None:
    """Pico-USD per token just above a bound."""
    if unit is None:
        return None
    price = getattr(unit, "base", unit)
    for tier in getattr(unit, "tiers", ()):
        if tier.start <= bound:
            price = tier.price
    return int(price * _PICO_PER_MTOK)
