"""Edits, clock jumps and lost attempts in any order: it never raises, and recovers."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from switchgear.policy.decision import Again, Decision, Verdict
from switchgear.policy.facts import CallFacts
from switchgear.policy.machines.state import expire
from switchgear.policy.rules import (
    CircuitBreaker,
    Concurrency,
    Fallback,
    Hop,
    KillSwitch,
    Mode,
    Quota,
    RateLimit,
    Retry,
    Rule,
    RunBudget,
    Timeout,
    Window,
)
from switchgear.policy.rules.selectors import Target
from switchgear.policy.vocabulary import FailureClass
from tests.policy.service import Service, facts

YEAR_2026 = 1.79e9
modes = st.sampled_from([Mode.ENFORCE, Mode.ENFORCE, Mode.SHADOW])
per = st.sampled_from([(), ("tenant",)])
all_rules: list[st.SearchStrategy[Rule]] = [
    st.builds(
        CircuitBreaker,
        id=st.just("cb"),
        mode=modes,
        minimum_number_of_calls=st.just(5),
        sliding_window_type=st.sampled_from(["time", "count"]),
        sliding_window_size=st.sampled_from([5, 60]),
        permitted_calls_in_half_open=st.integers(1, 3),
        scope=st.sampled_from([("target",), ("target", "tenant")]),
        operator_state=st.sampled_from(
            ["automatic", "automatic", "forced_open", "disabled", "metrics_only"]
        ),
    ),
    st.builds(
        RateLimit,
        id=st.just("rl"),
        mode=modes,
        limit=st.sampled_from([9, 100_000]),
        unit=st.sampled_from(["calls", "tokens_total"]),
        per=per,
    ),
    st.builds(
        Concurrency,
        id=st.just("cc"),
        mode=modes,
        max_concurrent_calls=st.integers(1, 3),
        per=per,
    ),
    st.builds(
        Quota,
        id=st.just("q"),
        mode=modes,
        unit=st.sampled_from(["calls", "usd", "seconds"]),
        limit=st.just(Decimal(9)),
        window=st.builds(Window, period=st.sampled_from(["PT5M", "P1D", "P1M"])),
    ),
    st.builds(RunBudget, id=st.just("rb"), mode=modes, max_steps=st.integers(1, 9)),
    st.builds(KillSwitch, id=st.just("ks"), expires_at=st.just(YEAR_2026 + 60)),
    st.builds(Retry, id=st.just("rt"), max_attempts=st.integers(1, 4)),
    st.builds(Timeout, id=st.just("to"), timeout_ms=st.sampled_from([10, 30_000])),
    st.just(Fallback(id="fb", chain=(Hop(Target(None, "lookup")),))),
]
policies = st.lists(st.one_of(all_rules), max_size=9, unique_by=lambda rule: rule.id)
calls = st.builds(
    facts,
    target=st.sampled_from(["search", "lookup"]),
    tenant=st.sampled_from([None, "acme"]),
    run=st.sampled_from([None, "run-1"]),
    tokens=st.sampled_from([0, 100_000]),
    cost_nano=st.sampled_from([None, 0, 10**9]),
    arguments=st.sampled_from([b"", b"a"]),
    idempotent=st.booleans(),
)


class Storm(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.service = Service(now=YEAR_2026)
        self.running: list[tuple[Decision, CallFacts, int]] = []

    @rule(rules=policies)
    def edit(self, rules):
        self.service.obey(*rules)

    @rule(seconds=st.sampled_from([0.01, 1.0, 30.0, 400.0, 1e5, -0.01, -40.0, -1e8]))
    def pass_time(self, seconds):
        self.service.now += seconds

    @rule()
    def sweep(self):
        for key in expire(self.service.state, self.service.now):
            del self.service.state[key]

    @rule(call=calls, attempt=st.integers(1, 3), times=st.integers(1, 7))
    def begin(self, call, attempt, times):
        for _ in range(times):
            decision = self.service.decide(call, attempt)
            if decision.refusal is None:
                self.running.append((decision, call, attempt))
            elif decision.retry_after is not None:
                assert decision.retry_after >= 0

    @precondition(lambda self: self.running)
    @rule(
        which=st.integers(0, 99),
        failure=st.none() | st.sampled_from(FailureClass),
        retry_after=st.sampled_from([None, 0.0, 20.0]),
    )
    def end(self, which, failure, retry_after):
        decision, call, attempt = self.running.pop(which % len(self.running))
        step = self.service.after(
            decision, failure, call=call, attempts=attempt, retry_after=retry_after
        )
        assert not isinstance(step, Again) or 0 <= step.after_s <= 20.0

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 99), lost=st.booleans())
    def never_make(self, which, lost):
        decision, _, _ = self.running.pop(which % len(self.running))
        if not lost:
            self.service.drop(decision)

    def teardown(self):
        """Whatever happened: with sane rules again, calls pass before long."""
        self.service.obey(
            CircuitBreaker(id="cb", minimum_number_of_calls=5, scope=("target",)),
            RateLimit(id="rl", limit=9),
            Concurrency(id="cc", max_concurrent_calls=1),
        )
        verdicts = []
        for _ in range(100):
            self.service.now += 10
            verdicts.append(self.service.call().verdict)
        assert verdicts[-50:] == [Verdict.ALLOW] * 50


TestStorm = Storm.TestCase
