"""Rules in shadow never change what happens to anybody."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from switchgear.policy.decision import Decision
from switchgear.policy.rules import (
    CircuitBreaker,
    Concurrency,
    KillSwitch,
    Mode,
    Quota,
    RateLimit,
    Rule,
    RunBudget,
)
from switchgear.policy.vocabulary import FailureClass
from tests.policy.service import Service, facts

RULES: tuple[Rule, ...] = (
    KillSwitch(id="ks", expires_at=1010.0),
    RunBudget(id="rb", max_steps=12, max_tokens=60),
    CircuitBreaker(id="cb", minimum_number_of_calls=5, wait_jitter_percent=0),
    Concurrency(id="cc", max_concurrent_calls=2, slot_ttl_s=20),
    RateLimit(id="rl", limit=4, period_s=20),
    Quota(id="q", unit="tokens_total", limit=Decimal(80)),
)
some_rules = st.lists(st.sampled_from(RULES), unique=True)
ENDINGS = (None, FailureClass.SERVER_ERROR, FailureClass.RATE_LIMITED)
steps = st.lists(
    st.tuples(
        st.sampled_from(["call", "begin", "end", "wait"]), st.sampled_from(ENDINGS)
    ),
    max_size=40,
)


def in_shadow(rules):
    return [replace(each, id=f"{each.id}-shadow", mode=Mode.SHADOW) for each in rules]


def take(service: Service, running: list[Decision], action, ending):
    """One thing that happens to a service; what it was told, if it asked."""
    call = facts(run="run-1", tokens=3)
    if action == "wait":
        service.now += 7
    elif action == "end" and running:
        service.end(running.pop(0), ending, tokens=5)
    elif action in {"call", "begin"}:
        decision = service.decide(call)
        if decision.refusal is None and action == "call":
            service.end(decision, ending, tokens=5)
        elif decision.refusal is None:
            running.append(decision)
        return decision
    return None


@given(enforced=some_rules, shadow=some_rules, given_steps=steps)
def test_with_and_without_rules_in_shadow_the_same_happens(
    enforced, shadow, given_steps
):
    plain, shadowed = Service(*enforced), Service(*enforced, *in_shadow(shadow))
    mine, other = [], []

    for action, ending in given_steps:
        told = take(plain, mine, action, ending)
        also = take(shadowed, other, action, ending)

        assert (told and told.refusal) == (also and also.refusal)
        assert (told and told.breaker_state) == (also and also.breaker_state)

    kept = {key: shadowed.state[key] for key in plain.state}
    assert kept == plain.state


@given(rules=some_rules, given_steps=steps)
def test_a_rule_alone_in_shadow_tells_what_it_would_have_refused_first(
    rules, given_steps
):
    enforced, shadowed = Service(*rules), Service(*in_shadow(rules))
    mine, other = [], []

    for action, ending in given_steps:
        told = take(enforced, mine, action, ending)
        also = take(shadowed, other, action, ending)
        if told and told.refusal:
            # From here on the two worlds differ.
            assert told.reason in {each.reason for each in also.would_refuse}
            return
        assert not also or not also.would_refuse
