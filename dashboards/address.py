"""The address of a live view: what the URL says is what is shown. Pure.

Only chosen values are written to an address, defaults are not; ``View.query`` and
``parse`` are inverse, so a copied link shows the same thing. A ``View`` is hashable:
viewers of equal views share one computation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

MINUTE, HOUR, DAY = 60, 3600, 86400

TABS = {"tools": "tool", "models": "model", "tenants": "tenant"}
FILTERS = ("tenant", "service", "tool", "model")
SORTS = {
    "attention": ("attempt_errors", "refused", "calls"),
    "calls": ("calls",),
    "errors": ("error_rate", "calls"),
    "attempt_errors": ("attempt_error_rate", "calls"),
    "p95": ("latency_ms.p95", "calls"),
    "attempts": ("amplification", "calls"),
    "spend": ("cost_usd", "calls"),
    "wasted": ("wasted_usd", "calls"),
}
TOP, ALL = 10, 200
MAX_LENGTH = 400  # of one value
MAX_VALUES = 20  # of one filter


class BadAddress(ValueError):
    """Whoever wrote the address must change it: it names what is not there."""


class Preset(NamedTuple):
    seconds: int
    step_s: int
    label: str
    steps: str


PRESETS = {
    "15m": Preset(15 * MINUTE, 10, "Last 15 minutes", "10 s steps"),
    "1h": Preset(HOUR, MINUTE, "Last 1 hour", "1 min steps"),
    "6h": Preset(6 * HOUR, 5 * MINUTE, "Last 6 hours", "5 min steps"),
    "24h": Preset(DAY, 15 * MINUTE, "Last 24 hours", "15 min steps"),
    "7d": Preset(7 * DAY, HOUR, "Last 7 days", "1 h steps"),
    "30d": Preset(30 * DAY, 6 * HOUR, "Last 30 days", "6 h steps"),
}
STEPS = (10, MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY)
POINTS = 100  # aimed at for a chosen range


class Window(NamedTuple):
    start: int
    end: int
    step_s: int

    @property
    def seconds(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class View:
    """What one board shows, apart from the project it belongs to."""

    range: str = "1h"
    fixed: tuple[int, int] | None = None
    environment: str = ""
    tenant: tuple[str, ...] = ()
    service: tuple[str, ...] = ()
    tool: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    tab: str = "tools"
    sort: str = "attention"
    everything: bool = False

    @property
    def dimension(self) -> str:
        return TABS[self.tab]

    @property
    def live(self) -> bool:
        return self.fixed is None

    def window(self, now: float) -> Window:
        """Whole steps, the last of them still filling."""
        if self.fixed is not None:
            start, end = self.fixed
            step = _step_for(end - start)
            return Window(start - start % step, end, step)
        preset = PRESETS[self.range]
        this_step = int(now) - int(now) % preset.step_s
        first = this_step - preset.seconds + preset.step_s
        return Window(first, int(now) + 1, preset.step_s)

    def filters(self) -> list[dict[str, Any]]:
        chosen = {name: list(getattr(self, name)) for name in FILTERS}
        if self.environment:
            chosen["environment"] = [self.environment]
        return [
            {"field": field, "op": "in", "value": values}
            for field, values in chosen.items()
            if values
        ]

    def order_by(self) -> list[dict[str, str]]:
        return [{"metric": metric, "dir": "desc"} for metric in SORTS[self.sort]]

    def query(self) -> list[tuple[str, str]]:
        """The parts of the address, without defaults."""
        pairs: list[tuple[str, str]] = []
        if self.fixed is not None:
            pairs += [("from", str(self.fixed[0])), ("to", str(self.fixed[1]))]
        elif self.range != "1h":
            pairs.append(("range", self.range))
        if self.environment:
            pairs.append(("env", self.environment))
        pairs += [(name, value) for name in FILTERS for value in getattr(self, name)]
        if self.tab != "tools":
            pairs.append(("tab", self.tab))
        if self.sort != "attention":
            pairs.append(("sort", self.sort))
        if self.everything:
            pairs.append(("top", "all"))
        return pairs


def parse(values: Mapping[str, Sequence[str]]) -> View:
    """Read an address (every key with all its values); unknown keys are not ours."""
    one = {key: given[-1] for key, given in values.items() if given}
    return View(
        range=_choice(one, "range", PRESETS, "1h"),
        fixed=_fixed(one),
        environment=_text(one.get("env", ""), "env"),
        tenant=_several(values, "tenant"),
        service=_several(values, "service"),
        tool=_several(values, "tool"),
        model=_several(values, "model"),
        tab=_choice(one, "tab", TABS, "tools"),
        sort=_choice(one, "sort", SORTS, "attention"),
        everything=one.get("top") == "all",
    )


def _choice(
    one: Mapping[str, str], key: str, known: Mapping[str, Any], default: str
) -> str:
    value = one.get(key, default)
    if value not in known:
        message = f"{key} must be one of {', '.join(known)}"
        raise BadAddress(message)
    return value


def _fixed(one: Mapping[str, str]) -> tuple[int, int] | None:
    if "from" not in one and "to" not in one:
        return None
    try:
        start, end = int(one["from"]), int(one["to"])
    except (KeyError, ValueError) as error:
        message = "from and to are both needed, in unix seconds"
        raise BadAddress(message) from error
    if not 0 <= start < end <= 1 << 33:
        message = "from must be before to"
        raise BadAddress(message)
    return start, end


def _several(values: Mapping[str, Sequence[str]], key: str) -> tuple[str, ...]:
    given = sorted({_text(value, key) for value in values.get(key, ()) if value})
    if len(given) > MAX_VALUES:
        message = f"at most {MAX_VALUES} values of {key}"
        raise BadAddress(message)
    return tuple(given)


def _text(value: str, key: str) -> str:
    if len(value) > MAX_LENGTH:
        message = f"{key} is longer than {MAX_LENGTH} characters"
        raise BadAddress(message)
    return value


def _step_for(seconds: int) -> int:
    return next((step for step in STEPS if seconds / step <= POINTS), DAY)
