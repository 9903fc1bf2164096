"""Functions whose calls are governed: from arguments to facts, from rules to stand-ins.

A guarded function looks and behaves like the one it guards. Where that is asynchronous,
or gives its answer in parts, so does the guarded one.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial, wraps
from hashlib import blake2b
from types import AsyncGeneratorType
from typing import Any

from switchgear import targets
from switchgear.call import Call
from switchgear.core import Core
from switchgear.course import Begun, Course, Work, conduct, drive, drive_async
from switchgear.policy.facts import CallFacts
from switchgear.policy.rules import selectors
from switchgear.policy.vocabulary import Kind
from switchgear.runs import Scope, scope
from switchgear.streams import AsyncStream, Stream
from switchgear.targets import Function, Target

_MARK = "__switchgear__"
# Nobody knows beforehand what these will cost; tools are free unless priced.
_PRICED = frozenset({Kind.MODEL, Kind.EMBEDDING})
_REMEMBERED = 256
StandIn = Function | str


class Registry:
    """The targets that this program can call."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._targets: dict[tuple[str, str], Target] = {}
        # Facts of calls without arguments, which are the same again and again.
        self._known: dict[tuple[Kind, str, Scope], CallFacts] = {}

    def guard(self, target: Target, fallback: StandIn | Iterable[StandIn]) -> Function:
        """The function of a target, governed."""
        self._targets[target.kind, target.name] = target
        self._known.clear()
        if isinstance(fallback, str) or callable(fallback):
            fallback = (fallback,)
        chain = [self._stand_in(each, target.kind) for each in fallback]
        if chain:
            self._core.governor.add(targets.stand_ins(target, chain))
        guarded = self._guarded(target)
        setattr(guarded, _MARK, target)
        return guarded

    def _stand_in(self, given: StandIn, kind: Kind) -> selectors.Target:
        """A function that is no target yet becomes one, by its own name."""
        if isinstance(given, str):
            return selectors.Target.parse(given)
        known = getattr(given, _MARK, None) or Target(kind, name_of(given), given)
        self._targets.setdefault((known.kind, known.name), known)
        return selectors.Target(known.kind, known.name)

    def _guarded(self, target: Target) -> Function:
        function = target.function

        def set_out(
            args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> tuple[Core, Course, Work]:
            work = partial(function, *args, **kwargs)
            begin = partial(self._begin, target, args, kwargs)
            find = partial(self._find, target, args, kwargs)
            return self._core, conduct(begin, work, find), work

        def answer(*args: Any, **kwargs: Any) -> Any:
            return _flowing(drive(*set_out(args, kwargs)))

        def flow(*args: Any, **kwargs: Any) -> Any:
            return Stream(lambda: drive(*set_out(args, kwargs)))

        async def answer_async(*args: Any, **kwargs: Any) -> Any:
            return _flowing(await drive_async(*set_out(args, kwargs)))

        def flow_async(*args: Any, **kwargs: Any) -> Any:
            return AsyncStream(lambda: drive_async(*set_out(args, kwargs)))

        guarded: Function = answer_async if target.is_async() else answer
        if inspect.isgeneratorfunction(function):
            guarded = flow
        elif inspect.isasyncgenfunction(function):
            guarded = flow_async
        return wraps(function)(guarded)

    def _begin(
        self, target: Target, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Call:
        where = scope.get()
        asked = target.kind, target.name_in(args, kwargs), where
        facts = self._known.get(asked)
        if facts is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            facts = self._known[asked] = self._facts(target, asked[1], where)
        if where.run is not None and self._core.governor.counts_repeats:
            facts = replace(facts, arguments=_fingerprint(args, kwargs))
        return Call(self._core, facts, classifier=target.classifier)

    def _facts(self, target: Target, name: str, where: Scope) -> CallFacts:
        return CallFacts(
            kind=target.kind.value,
            target=name,
            service=self._core.service,
            environment=self._core.environment,
            tenant=where.tenant,
            user=where.user,
            agent=where.agent,
            provider=target.provider,
            server=target.server,
            idempotent=target.idempotent,
            cost_nano=free(target.kind),
            deadline=where.deadline,
            run=where.run,
        )

    def _find(
        self,
        asked: Target,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        hop: CallFacts,
        first: Call,
    ) -> tuple[Call, Work] | None:
        """Who answers a hop of the chain, with the arguments of the first call."""
        target = self._targets.get((hop.kind, hop.target))
        if target is None and asked.named_by is not None and hop.kind == asked.kind:
            target = asked
        if target is None or (target.is_async() and not asked.is_async()):
            why = "is not known here" if target is None else "only works in tasks"
            name = f"{hop.kind}:{hop.target}"
            self._core.trouble.say(f"fallback.{name}", f"passed over: it {why}")
            return None
        facts = replace(
            hop,
            provider=target.provider,
            server=target.server,
            idempotent=target.idempotent,
            cost_nano=free(target.kind),
        )
        call = Call(
            self._core, facts, classifier=target.classifier, stands_in_for=first
        )
        return call, target.work(hop.target, args, kwargs)


def free(kind: Kind) -> int | None:
    """What a call costs as far as anybody knows beforehand."""
    return None if kind in _PRICED else 0


def name_of(function: Function) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _flowing(answer: Any) -> Any:
    """The answer, unless it is a stream that has just begun."""
    if not isinstance(answer, Begun):
        return answer
    if isinstance(answer.items, AsyncGeneratorType):
        return AsyncStream(partial(_at_once, answer))
    return Stream(lambda: answer)


async def _at_once(answer: Begun) -> Begun:
    return answer


def _fingerprint(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
    """Equal for equal arguments: by it a run that goes in circles is noticed."""
    try:
        said = repr((args, sorted(kwargs.items())))
    except Exception:  # noqa: BLE001  what cannot be shown repeats nothing
        return b""
    return blake2b(said.encode("utf-8", "replace"), digest_size=8).digest()
