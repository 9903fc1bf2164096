"""A trace as the rules read it: spans in order, true times, contexts, surroundings.

``above`` is the call span a span belongs to: the nearest one upwards, with nothing in
between that starts a life of its own (an agent, a queue, a pseudo tool).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from ingest.derive.inherit import Context, contexts
from ingest.derive.times import repair
from ingest.derive.tree import grow
from ingest.records import Category, Span

# How near ``above`` is.
_DIRECT = 1  # nothing but requests on the wire in between
_UNWIRED = 2  # no request on the wire in between
_LAST_CALL = Category.GUARDRAIL
_SCREENS = frozenset({Category.AGENT, Category.PSEUDO, Category.PUBLISH})
_WIRE = frozenset({Category.HTTP, Category.RPC, Category.DATABASE})
_KEPT = {  # what a span in between leaves of nearness; others leave ``_UNWIRED``
    Category.HTTP: _DIRECT,
    Category.RPC: _DIRECT,
    Category.DATABASE: 0,
}


class Trace:
    """Lists run parallel to ``spans``: index by index, parents before children."""

    __slots__ = (
        "_model_starts",
        "_near",
        "above",
        "categories",
        "contexts",
        "ends",
        "parents",
        "promoted",
        "skewed",
        "spans",
        "starts",
        "wire",
    )

    def __init__(self, spans: Sequence[Span]) -> None:
        self.spans, self.parents = grow(spans)
        self.starts, self.ends, self.skewed = repair(self.spans, self.parents)
        self.contexts: list[Context] = contexts(self.spans, self.parents)
        self.categories = [span.category for span in self.spans]
        self.above: list[int] = []
        self._near: list[int] = []
        self.wire: dict[int, list[int]] = {}  # requests of a call span itself
        self.promoted: frozenset[int] = frozenset()  # containers whose usage bills
        self._model_starts: dict[int, list[int]] | None = None
        self._surround()

    def _surround(self) -> None:
        above, near, categories = self.above, self._near, self.categories
        for place, parent in enumerate(self.parents):
            category = Category.AGENT if parent < 0 else categories[parent]
            if category is Category.AGENT:  # most parents are
                above.append(-1)
                near.append(0)
                continue
            if 0 < category <= _LAST_CALL:
                above.append(parent)
                near.append(_DIRECT | _UNWIRED)
            elif category in _SCREENS or above[parent] < 0:
                above.append(-1)
                near.append(0)
                continue
            else:
                above.append(above[parent])
                near.append(near[parent] & _KEPT.get(category, _UNWIRED))
            if categories[place] in _WIRE and near[place] & _UNWIRED:
                self.wire.setdefault(above[place], []).append(place)

    def order(self, place: int) -> tuple[int, bytes]:
        """Sorts spans by start; ids decide between equal clocks."""
        return self.starts[place], self.spans[place].span_id

    def directly_inside(self, place: int) -> bool:
        return bool(self._near[place] & _DIRECT)

    def model_started(self, run: int, after: int, until: int) -> bool | None:
        """Did a model span of this agent run start then? ``None``: it shows none."""
        if self._model_starts is None:
            self._model_starts = self._starts_of_models()
        starts = self._model_starts.get(run)
        if starts is None:
            return None
        place = bisect_left(starts, after)
        return place < len(starts) and starts[place] <= until

    def _starts_of_models(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for place, category in enumerate(self.categories):
            if category is Category.MODEL:
                run = self.contexts[place].run
                found.setdefault(run, []).append(self.starts[place])
        for starts in found.values():
            starts.sort()
        return found
