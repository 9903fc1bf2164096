"""What comes after a failed attempt: again, later, or not at all."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.policy.decision import Again, Halt, Stop, Verdict
from switchgear.policy.machines.retry import FULL, Reserve, earned, spent, wait_s
from switchgear.policy.rules import CircuitBreaker, Retry
from switchgear.policy.vocabulary import FailureClass as F
from tests.policy.service import Service, attempts_of, facts

SAFE = facts(idempotent=True)


def again(rule=None, failure_class=F.SERVER_ERROR, *, call=SAFE, chance=1.0, **more):
    service = Service(rule or Retry(id="r"), chance=chance)
    decision = service.decide(call)
    return service.after(decision, failure_class, call=call, **more)


@pytest.mark.parametrize("attempts", [1, 2, 3, 4])
@pytest.mark.parametrize("chance", [0.0, 0.25, 0.999])
def test_full_jitter_waits_a_random_part_of_a_doubling_time(attempts, chance):
    rule = Retry(id="r", max_attempts=9, max_wait_ms=1000)

    step = again(rule, chance=chance, attempts=attempts)

    longest_s = min(0.2 * 2 ** (attempts - 1), 1.0)
    assert step.after_s == pytest.approx(chance * longest_s)


def test_without_jitter_it_waits_all_of_it():
    rule = Retry(id="r", jitter="none", exponential_backoff_multiplier=3)

    assert wait_s(rule, 2, at_least=0.0, chance=0.1) == pytest.approx(0.6)


@given(attempts=st.integers(1, 10), chance=st.floats(0, 1, exclude_max=True))
def test_no_wait_is_longer_than_the_longest(attempts, chance):
    rule = Retry(id="r", exponential_backoff_multiplier=10, max_wait_ms=700)

    assert 0 <= wait_s(rule, attempts, at_least=0.0, chance=chance) <= 0.7


@pytest.mark.parametrize("failure_class", list(F))
def test_only_listed_failures_are_tried_again(failure_class):
    step = again(failure_class=failure_class)

    listed = {F.TRANSPORT, F.TIMEOUT, F.SERVER_ERROR, F.RATE_LIMITED}
    assert isinstance(step, Again) is (failure_class in listed)


def test_what_its_caller_gave_up_is_not_tried_again_even_if_listed():
    rule = Retry(id="r", retry_on=(F.CANCELLED,))

    assert again(rule, F.CANCELLED) == Stop(Halt.CANCELLED)


@pytest.mark.parametrize(
    ("call", "rule", "repeated"),
    [
        pytest.param(facts(), {}, False, id="a tool may have had an effect"),
        pytest.param(facts(idempotent=True), {}, True, id="it says it has none"),
        pytest.param(facts(kind="model"), {}, True, id="models only answer"),
        pytest.param(facts(), {"idempotent_only": False}, True, id="rule says go"),
    ],
)
def test_only_what_may_be_repeated_is_repeated(call, rule, repeated):
    step = again(Retry(id="r", **rule), call=call)

    assert isinstance(step, Again) is repeated
    assert repeated or step == Stop(Halt.NOT_REPEATABLE)


def test_without_a_rule_there_is_one_attempt():
    service = Service()

    assert service.after(service.decide()) == Stop(Halt.NO_RETRY_RULE)


def test_the_first_attempt_is_one_of_the_attempts():
    service = Service(Retry(id="r", max_attempts=3))

    assert len(attempts_of(service, SAFE, F.TIMEOUT)) == 3


@pytest.mark.parametrize(
    ("retry_after", "after_s"),
    [
        pytest.param(None, 0.1, id="unsaid"),
        pytest.param(3.0, 3.1, id="said: and a random part, or all come at once"),
        pytest.param(-3.0, 0.1, id="nonsense"),
        pytest.param(math.nan, 0.1, id="not a number"),
    ],
)
def test_it_waits_as_long_as_the_target_asks_for(retry_after, after_s):
    step = again(retry_after=retry_after, chance=0.5)

    assert step.after_s == pytest.approx(after_s)


def test_it_need_not_listen_to_the_target():
    rule = Retry(id="r", respect_retry_after=False)

    assert again(rule, retry_after=3.0, chance=0.5).after_s == pytest.approx(0.1)


@pytest.mark.parametrize("retry_after", [10.001, 3600.0, math.inf])
def test_it_does_not_sleep_longer_than_the_rule_allows(retry_after):
    assert again(retry_after=retry_after) == Stop(Halt.WAIT_TOO_LONG)


@pytest.mark.parametrize(
    ("deadline", "waits"), [(1000.05, False), (1000.1, False), (1000.11, True)]
)
def test_it_does_not_wait_beyond_the_deadline(deadline, waits):
    call = facts(idempotent=True, deadline=deadline)

    step = again(call=call, chance=0.5)

    assert isinstance(step, Again) is waits
    assert waits or step == Stop(Halt.DEADLINE)


@pytest.mark.parametrize(("began", "waits"), [(999.0, False), (999.7, True)])
def test_the_whole_call_has_a_deadline_too(began, waits):
    rule = Retry(id="r", wait_duration_ms=100, max_wait_ms=100, total_deadline_ms=1000)

    step = again(rule, started_at=began, chance=0.5)

    assert isinstance(step, Again) is waits


def test_a_target_that_has_just_gone_down_is_not_tried_again():
    breaker = CircuitBreaker(id="cb", minimum_number_of_calls=5)
    service = Service(Retry(id="r"), breaker)
    for _ in range(4):
        service.call(F.SERVER_ERROR)

    step = service.after(service.decide(SAFE), call=SAFE)

    assert step == Stop(Halt.BREAKER)


def test_after_too_many_it_waits_for_the_throttle():
    service = Service(Retry(id="r"), CircuitBreaker(id="cb"), chance=0.5)
    step = service.after(service.decide(SAFE), F.RATE_LIMITED, call=SAFE)
    assert step.after_s == pytest.approx(1.1)

    service.now += step.after_s

    assert service.decide(SAFE, 2).verdict is Verdict.ALLOW


def test_the_retries_of_a_quiet_target_are_ten_and_then_what_calls_earn():
    service = Service(Retry(id="r", max_attempts=2))

    made = [len(attempts_of(service, SAFE, F.TIMEOUT)) - 1 for _ in range(60)]

    assert made[:10] == [1] * 10
    # From the first retry on, every fifth call has earned one.
    assert sum(made) == 10 + 60 // 5 - 1


def test_a_percentage_above_a_hundred_earns_several_retries():
    reserve = earned(Reserve(0, 0.0), Retry(id="r", retry_budget_percent=250), 1.0)

    assert reserve.points == 250


def test_the_reserve_is_per_target():
    service = Service(Retry(id="r", max_attempts=2))
    for _ in range(20):
        attempts_of(service, SAFE, F.TIMEOUT)

    other = facts("lookup", idempotent=True)

    assert len(attempts_of(service, other, F.TIMEOUT)) == 2


def test_a_reserve_says_nothing_when_it_is_full_or_old():
    assert Reserve(FULL, 0.0).idle(1.0)
    assert Reserve(0, 0.0).idle(3600.0)
    assert not Reserve(0, 0.0).idle(3599.0)
    assert earned(Reserve(FULL - 1, 0.0), Retry(id="r"), 1.0).points == FULL
    assert spent(Reserve(99, 0.0), 1.0) is None
