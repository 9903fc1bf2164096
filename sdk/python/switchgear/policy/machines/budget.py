"""What one run of an agent has used up, and whether it may go on.

A run that goes in circles is stopped before it has cost anything more: calls of the
same target with the same arguments are counted, the latest of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import TypeVar

from switchgear.policy.facts import CallFacts
from switchgear.policy.frozen import frozen
from switchgear.policy.machines.quota import unpriced
from switchgear.policy.machines.state import forgotten
from switchgear.policy.rules import RunBudget
from switchgear.policy.vocabulary import Kind

# Different calls that are remembered, per run: a longer circle is not noticed.
_REMEMBERED = 256
Repeated = tuple[str, str, bytes]
K = TypeVar("K")


@frozen
class Run:
    """One run, as far as it has come."""

    since: float
    seen: float
    steps: int = 0
    tool_calls: int = 0
    tokens: int = 0
    cost_nano: int = 0
    dearest: int = 0
    retries: Mapping[str, int] = field(default_factory=dict)
    same: Mapping[Repeated, int] = field(default_factory=dict)

    def idle(self, now: float) -> bool:
        return forgotten(self.seen, now)


@frozen
class Share:
    """What one attempt took of the budget of its run."""

    tokens: int
    cost_nano: int


def share_of(run: Run, rule: RunBudget, call: CallFacts) -> Share:
    cost = call.cost_nano
    if cost is None:
        cost = unpriced(run.dearest, rule.max_usd_nano or 0)
    return Share(max(0, call.tokens), max(0, cost))


def exceeded(
    run: Run,
    rule: RunBudget,
    call: CallFacts,
    share: Share,
    *,
    attempt: int,
    now: float,
) -> str | None:
    """What the run has used up, in words; None while it may go on."""
    wall_clock = rule.max_wall_clock_s
    if wall_clock is not None and now - run.since >= wall_clock:
        return f"its {wall_clock} seconds"
    if rule.max_tokens is not None and _full(run.tokens, share.tokens, rule.max_tokens):
        return f"its {rule.max_tokens} tokens"
    most = rule.max_usd_nano
    if most is not None and _full(run.cost_nano, share.cost_nano, most):
        return f"its {rule.max_usd} USD"
    return _calls(run, rule, call) if attempt == 1 else _retries(run, rule, call)


def _full(used: int, more: int, most: int) -> bool:
    return used >= most or used + more > most


def _calls(run: Run, rule: RunBudget, call: CallFacts) -> str | None:
    if rule.max_steps is not None and run.steps >= rule.max_steps:
        return f"its {rule.max_steps} calls"
    most = rule.max_tool_calls
    if most is not None and call.kind == Kind.TOOL and run.tool_calls >= most:
        return f"its {most} tool calls"
    if call.arguments and run.same.get(_same(call), 0) >= rule.loop_threshold:
        return f"its {rule.loop_threshold} calls of {call.target} with equal arguments"
    return None


def _retries(run: Run, rule: RunBudget, call: CallFacts) -> str | None:
    most = rule.max_retries_per_tool
    if most is not None and run.retries.get(_target(call), 0) >= most:
        return f"its {most} retries of {call.target}"
    return None


def taken(run: Run, call: CallFacts, share: Share, *, attempt: int, now: float) -> Run:
    """The run with one more attempt in it."""
    run = _moved(run, call, attempt, 1)
    return replace(
        run,
        seen=now,
        tokens=run.tokens + share.tokens,
        cost_nano=run.cost_nano + share.cost_nano,
    )


def given_back(run: Run, call: CallFacts, share: Share, *, attempt: int) -> Run:
    """The run without an attempt that was never made."""
    run = _moved(run, call, attempt, -1)
    return replace(
        run,
        tokens=run.tokens - share.tokens,
        cost_nano=run.cost_nano - share.cost_nano,
    )


def settled(
    run: Run, share: Share, *, tokens: int | None, cost_nano: int | None
) -> Run:
    """The truth in the place of the estimate; None: it is still not known."""
    if tokens is not None:
        run = replace(run, tokens=run.tokens - share.tokens + max(0, tokens))
    if cost_nano is None:
        return run
    return replace(
        run,
        cost_nano=run.cost_nano - share.cost_nano + max(0, cost_nano),
        dearest=max(run.dearest, cost_nano),
    )


def _moved(run: Run, call: CallFacts, attempt: int, by: int) -> Run:
    if attempt == 1:
        return _called(run, call, by)
    return replace(run, retries=_more(run.retries, _target(call), by))


def _called(run: Run, call: CallFacts, by: int) -> Run:
    same = run.same
    if call.arguments:
        same = _more(same, _same(call), by)
    is_tool = call.kind == Kind.TOOL
    tool_calls = run.tool_calls + (by if is_tool else 0)
    return replace(run, steps=run.steps + by, tool_calls=tool_calls, same=same)


def _same(call: CallFacts) -> Repeated:
    return call.kind, call.target, call.arguments


def _target(call: CallFacts) -> str:
    return f"{call.kind}:{call.target}"


def _more(counts: Mapping[K, int], key: K, by: int) -> Mapping[K, int]:
    """The counts with one changed, which is now the latest; the oldest may go."""
    changed = {each: count for each, count in counts.items() if each != key}
    changed[key] = max(0, counts.get(key, 0) + by)
    if len(changed) > _REMEMBERED:
        del changed[next(iter(changed))]
    return changed
