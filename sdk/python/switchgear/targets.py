"""What the code says of the targets it calls, and what it offers in their place.

A target is known by its kind and its name. ``fallback=`` is a rule like any other, only
that every rule of the control plane comes before it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from switchgear.classify import Classifier
from switchgear.policy.rules import Fallback, Hop, Tier, selectors
from switchgear.policy.rules.selectors import Comparison, Condition, Selector
from switchgear.policy.vocabulary import FailureClass, Kind, RefusalReason

Function = Callable[..., Any]
# Below any rule that an operator can write.
_LAST = -1_000_001
# Another target would answer these no better, or nobody waits for it any more.
_FINAL = frozenset(
    {
        FailureClass.CANCELLED,
        FailureClass.INVALID_REQUEST,
        FailureClass.CONTENT_FILTER,
        FailureClass.REFUSED,
        RefusalReason.RUN_BUDGET,
        RefusalReason.ACCESS,
    }
)
_ON = tuple(each for each in (*FailureClass, *RefusalReason) if each not in _FINAL)


@dataclass(frozen=True, slots=True)
class Target:
    """One function as a target.

    ``named_by`` is its parameter that names the target, where one function reaches
    many, and ``place`` where that parameter stands. Another target of the kind that
    stands in is asked through the same function.
    """

    kind: Kind
    name: str
    function: Function
    provider: str | None = None
    server: str | None = None
    idempotent: bool = False
    classifier: Classifier | None = None
    named_by: str | None = None
    place: int = 0

    def name_in(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        """The target that these arguments ask for."""
        if self.named_by is None:
            return self.name
        if self.named_by in kwargs:
            return str(kwargs[self.named_by])
        return str(args[self.place]) if self.place < len(args) else self.name

    def work(
        self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Callable[[], Any]:
        """Call the function, for the target of this name."""
        if self.named_by is None or self.name_in(args, kwargs) == name:
            return partial(self.function, *args, **kwargs)
        if self.named_by not in kwargs and self.place < len(args):
            before, after = args[: self.place], args[self.place + 1 :]
            return partial(self.function, *before, name, *after, **kwargs)
        return partial(self.function, *args, **{**kwargs, self.named_by: name})

    def is_async(self) -> bool:
        """Whether only a task can wait for it."""
        called = getattr(type(self.function), "__call__", None)  # noqa: B004  its own code
        return any(
            inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each)
            for each in (self.function, called)
        )


def place_of(function: Function, parameter: str) -> int:
    """Where a parameter stands, for arguments that are given without its name."""
    return list(inspect.signature(function).parameters).index(parameter)


def stand_ins(target: Target, chain: Iterable[selectors.Target]) -> Fallback:
    """The rule that ``fallback=`` is."""
    conditions = (("target", target.name), ("kind", target.kind.value))
    return Fallback(
        id=f"code:{target.kind}:{target.name}",
        tier=Tier.DEFAULT,
        priority=_LAST,
        selector=Selector(
            tuple(
                (fact, Condition(Comparison.EXACT, (value,)))
                for fact, value in conditions
            )
        ),
        chain=tuple(Hop(target=each) for each in chain),
        on=_ON,
        max_hops=10,
    )
