"""Snapshots of a live view and the numbered changes between them. Pure.

The law: ``apply(old, diff(old, new)) == new`` for any two JSON values, so a viewer
who fetched once and applied every message holds what a new fetch would give.
``static/js/changes.js`` is the same ``apply`` for the browser; a test runs both.

A change is a JSON array:

    ["=", path, value]             put value at path
    ["-", path]                    remove that key of an object
    ["~", path, drop, keep, tail]  list becomes list[drop:drop + keep] + tail

The last one is why a chart whose window slides costs a point, not a series.
"""

from __future__ import annotations

import json
from collections import deque
from copy import deepcopy
from itertools import islice
from typing import Any

Change = list[Any]
Path = list[str | int]

MAX_SLIDE = 12  # steps a window may have moved and still be sent as a slide
KEPT = 60  # messages a viewer may have missed and still catch up by changes


def diff(old: Any, new: Any) -> list[Change]:
    """What turns ``old`` into ``new``, in an order in which it can be applied."""
    changes: list[Change] = []
    _compare([], old, new, changes)
    return changes


def apply(state: Any, changes: list[Change]) -> Any:
    """The state after the changes; the given one is left as it was."""
    root = {"": deepcopy(state)}
    for operation, path, *rest in changes:
        holder: Any = root
        last: str | int = ""
        for step in path:
            holder, last = holder[last], step
        if operation == "=":
            holder[last] = deepcopy(rest[0])
        elif operation == "-":
            del holder[last]
        else:
            drop, keep, tail = rest
            holder[last] = holder[last][drop : drop + keep] + deepcopy(tail)
    return root[""]


def _compare(path: Path, old: Any, new: Any, changes: list[Change]) -> None:
    if isinstance(old, dict) and isinstance(new, dict):
        _compare_objects(path, old, new, changes)
    elif isinstance(old, list) and isinstance(new, list):
        _compare_lists(path, old, new, changes)
    elif not _same(old, new):
        changes.append(["=", path, new])


def _compare_objects(
    path: Path, old: dict[str, Any], new: dict[str, Any], changes: list[Change]
) -> None:
    changes.extend(["-", [*path, key]] for key in old if key not in new)
    for key, value in new.items():
        if key in old:
            _compare([*path, key], old[key], value, changes)
        else:
            changes.append(["=", [*path, key], value])


def _compare_lists(
    path: Path, old: list[Any], new: list[Any], changes: list[Change]
) -> None:
    if _same(old, new):
        return
    if len(old) == len(new) and all(isinstance(x, dict) for x in (*old, *new)):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            _compare([*path, index], before, after, changes)
        return
    drop, keep = _slide(old, new)
    if keep:
        changes.append(["~", path, drop, keep, new[keep:]])
    else:
        changes.append(["=", path, new])


def _slide(old: list[Any], new: list[Any]) -> tuple[int, int]:
    """How many to drop in front so that most of what follows can be kept."""
    best = (0, 0)
    for drop in range(min(len(old), MAX_SLIDE + 1)):
        keep = 0
        for before, after in zip(islice(old, drop, None), new, strict=False):
            if not _same(before, after):
                break
            keep += 1
        if keep > best[1]:
            best = (drop, keep)
    return best


def _same(a: Any, b: Any) -> bool:
    """Equal as JSON: 1, 1.0 and true are three different values there."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)


class Journal:
    """The states of one view in order, as messages for viewers at any position.

    ``epoch`` names this journal: a number from another one says nothing here. Memory
    is bounded by ``KEPT`` changes; who is further behind gets the whole state, so a
    slow viewer never makes us remember more.
    """

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self.seq = 0
        self.state: Any = None
        self._kept: deque[list[Change]] = deque(maxlen=KEPT)
        self._written: dict[int | None, str] = {}

    def push(self, state: Any) -> bool:
        """Take the next state; false when nothing in it is new."""
        changes = diff(self.state, state)
        if self.seq and not changes:
            return False
        self.state = state
        self.seq += 1
        self._kept.append(changes)
        self._written.clear()
        return True

    def since(self, epoch: str, seq: int) -> str | None:
        """The message that brings a viewer up to date; ``None`` when he is.

        Written once for all viewers at the same position.
        """
        behind = self.seq - seq
        if epoch == self.epoch and behind == 0:
            return None
        known = epoch == self.epoch and 0 < behind <= len(self._kept)
        position = seq if known and seq > 0 else None
        if position not in self._written:
            message = self._snapshot() if position is None else self._changes(position)
            self._written[position] = json.dumps(message, separators=(",", ":"))
        return self._written[position]

    def _snapshot(self) -> dict[str, Any]:
        return {
            "type": "snapshot",
            "epoch": self.epoch,
            "seq": self.seq,
            "state": self.state,
        }

    def _changes(self, seq: int) -> dict[str, Any]:
        missed = islice(self._kept, len(self._kept) - (self.seq - seq), None)
        changes = [change for group in missed for change in group]
        return {"type": "changes", "from": seq, "seq": self.seq, "changes": changes}
