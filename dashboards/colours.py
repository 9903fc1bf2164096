"""Which colour a tool, model or tenant has: given once, kept for ever.

The first eight of a project and dimension get a slot when they are first seen, by
rank of volume; all others share the neutral colour and are told apart by their label.
"""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.models import SLOTS, EntityColour


def slots(project_id: int, dimension: str, ranked: Sequence[str]) -> dict[str, int]:
    """Slots by name; hands out free ones to the given names, in their order."""
    taken = _taken(project_id, dimension)
    fresh = [name for name in ranked if name not in taken and _storable(name)]
    free = [slot for slot in SLOTS if slot not in set(taken.values())]
    if not fresh or not free:
        return taken
    EntityColour.objects.bulk_create(
        [
            EntityColour(
                project_id=project_id, dimension=dimension, name=name, slot=slot
            )
            for name, slot in zip(fresh, free, strict=False)
        ],
        # Another process may have been first; then its choice holds.
        ignore_conflicts=True,
    )
    return _taken(project_id, dimension)


def _taken(project_id: int, dimension: str) -> dict[str, int]:
    rows = EntityColour.objects.filter(project_id=project_id, dimension=dimension)
    return dict(rows.values_list("name", "slot"))


def _storable(name: str) -> bool:
    return len(name) <= EntityColour.NAME_LENGTH
