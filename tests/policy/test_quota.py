"""Quotas that each instance counts for itself."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from switchgear.policy.decision import Verdict
from switchgear.policy.rules import Mode, Quota, Window
from switchgear.policy.vocabulary import FailureClass, RefusalReason
from tests.policy.service import Service, facts, only

DAY = 86_400.0


def quota(unit="calls", limit="3", **more):
    return Quota(id="q", unit=unit, limit=Decimal(limit), **more)


def spent(service):
    (value,) = service.state.values()
    return value


def verdicts(service, *calls):
    return [service.call(call=call).verdict.value for call in calls]


def test_calls_up_to_the_limit_pass_and_the_next_window_is_fresh():
    service = Service(quota())

    assert verdicts(service, *[facts()] * 4) == ["allow"] * 3 + ["refuse"]

    service.now += DAY
    assert service.call().verdict is Verdict.ALLOW


def test_a_refusal_says_when_it_begins_anew_and_that_retries_are_vain():
    service = Service(quota(limit="0"), now=DAY - 90.5)

    refused = service.decide()

    assert refused.reason is RefusalReason.QUOTA
    assert refused.retry_after == 90.5
    assert not refused.retryable
    assert refused.message == (
        "The quota of 0 calls is used up (q). It begins anew in 91 s."
    )


def test_retries_of_a_call_are_the_same_call():
    service = Service(quota(limit="1"))
    service.call()

    assert service.decide(attempt=2).verdict is Verdict.ALLOW
    assert service.decide(attempt=1).verdict is Verdict.REFUSE


def test_an_estimate_counts_until_the_truth_replaces_it():
    service = Service(quota("tokens_total", "100"))
    first = service.decide(facts(tokens=60))

    assert service.decide(facts(tokens=60)).verdict is Verdict.REFUSE
    service.end(first, tokens=10)
    assert service.decide(facts(tokens=60)).verdict is Verdict.ALLOW


def test_an_attempt_that_never_reports_stays_counted():
    service = Service(quota("tokens_total", "100"))
    first = service.decide(facts(tokens=60))

    service.end(first, FailureClass.CANCELLED)

    assert spent(service).units == 60


def test_what_was_never_run_costs_nothing():
    service = Service(quota("tokens_total", "100"))

    service.drop(service.decide(facts(tokens=60)))

    assert spent(service).units == 0


def test_with_nothing_left_not_even_an_estimate_of_nothing_passes():
    service = Service(quota("tokens_total", "100"))

    service.call(call=facts(), tokens=100)

    assert service.decide().verdict is Verdict.REFUSE


def test_seconds_are_taken_to_be_as_many_as_the_longest_attempt_took():
    service = Service(quota("seconds", "10"))
    service.call(took_s=4.0)

    running = service.decide()

    assert spent(service).units == 8000
    assert service.decide().verdict is Verdict.REFUSE
    service.end(running, took_s=1.0004)
    assert spent(service).units == 5001


def test_dollars_are_counted_to_the_billionth():
    service = Service(quota("usd", "0.000000003"))

    calls = [facts(cost_nano=1)] * 4
    for call in calls[:3]:
        service.call(call=call, cost_nano=1)

    assert service.decide(calls[3]).verdict is Verdict.REFUSE


def test_an_unknown_price_counts_as_the_dearest_known_one():
    service = Service(quota("usd", "1"))
    service.call(call=facts(cost_nano=5), cost_nano=250_000_000)

    service.call(call=facts(cost_nano=None))

    assert spent(service).units == 500_000_000
    assert spent(service).guessed == 1


def test_a_price_that_is_learned_later_is_no_guess_any_more():
    service = Service(quota("usd", "1"))
    running = service.decide(facts(cost_nano=None))
    assert (spent(service).units, spent(service).guessed) == (10_000_000, 1)

    service.end(running, cost_nano=7)

    assert (spent(service).units, spent(service).guessed) == (7, 0)


def test_what_ends_after_its_window_does_not_touch_the_next():
    service = Service(quota("tokens_total", "100"))
    late = service.decide(facts(tokens=60))
    service.now += DAY
    service.call(call=facts(tokens=50), tokens=50)

    service.end(late, tokens=90)

    assert spent(service).units == 50


def test_what_ends_when_all_was_forgotten_is_forgotten():
    service = Service(quota("tokens_total", "100"))
    late = service.decide(facts(tokens=60))
    service.state.clear()

    service.end(late, tokens=90)

    assert service.state == {}


@pytest.mark.parametrize(
    ("back_s", "kept"), [(1.0, True), (DAY, True), (3 * DAY, False)]
)
def test_a_clock_that_runs_back_does_not_begin_a_window_anew(back_s, kept):
    service = Service(quota(limit="1"), now=10 * DAY + 0.5)
    service.call()

    service.now -= back_s

    assert (service.decide().verdict is Verdict.REFUSE) is kept


def test_another_window_in_the_rule_begins_anew():
    service = Service(quota(limit="1"))
    service.call()

    service.obey(quota(limit="1", window=Window(period="PT1H")))

    assert service.call().verdict is Verdict.ALLOW
    assert spent(service).period.name == "PT1H/1970-01-01T00:00Z"


def test_another_unit_begins_anew():
    service = Service(quota("usd", "5"))
    late = service.decide(facts(cost_nano=7))
    service.call(call=facts(cost_nano=10**9), cost_nano=10**9)

    service.obey(quota("calls", "5"))
    assert service.call().verdict is Verdict.ALLOW
    service.end(late, cost_nano=10**9)

    assert {key[2]: value.units for key, value in service.state.items()} == {
        "usd": 2 * 10**9,
        "calls": 1,
    }


def test_a_higher_limit_keeps_what_was_spent():
    service = Service(quota(limit="1"))
    service.call()

    service.obey(quota(limit="2"))

    assert verdicts(service, facts(), facts()) == ["allow", "refuse"]


def test_a_quota_that_is_over_may_be_forgotten():
    service = Service(quota())
    service.call()

    assert not spent(service).idle(DAY - 1)
    assert spent(service).idle(DAY)


def family(**more):
    parent = Quota(id="all", unit="calls", limit=Decimal(2))
    child = Quota(id="q", unit="calls", limit=Decimal(9), parent="all", **more)
    return parent, child


def test_what_counts_for_a_quota_counts_for_its_parent():
    parent, child = family(per=("tenant",))
    service = Service(child, replace(parent, selector=only(tenant="nobody")))

    calls = [facts(tenant=name) for name in ("acme", "zeta", "acme")]

    assert verdicts(service, *calls) == ["allow", "allow", "refuse"]


@pytest.mark.parametrize("gone", ["absent", "expired"])
def test_a_parent_that_is_gone_counts_nothing(gone):
    parent, child = family()
    expired = replace(parent, limit=Decimal(0), expires_at=10.0)
    service = Service(child, *([expired] if gone == "expired" else []))

    assert service.call().verdict is Verdict.ALLOW


def test_a_parent_that_matches_itself_counts_once():
    service = Service(*family())

    assert verdicts(service, *[facts()] * 3) == ["allow", "allow", "refuse"]


def test_in_shadow_it_counts_and_tells_but_refuses_nobody():
    service = Service(quota(limit="1", mode=Mode.SHADOW))
    service.call()

    told = service.call()

    assert told.verdict is Verdict.SHADOW_REFUSE
    assert (told.reason, told.rule) == (RefusalReason.QUOTA, "q")
    assert spent(service).units == 1
