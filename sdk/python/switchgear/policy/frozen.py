"""Values that are made for every attempt, quickly.

They are frozen for the type checker alone: to refuse it when a program runs, a frozen
dataclass sets each field through ``object.__setattr__``, which makes it three times as
slow to make.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(made: type[T]) -> type[T]:
    """A dataclass with slots that nobody may change."""
    return dataclass(slots=True, unsafe_hash=True)(made)
