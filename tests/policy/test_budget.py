"""What a run may use up, and how it is told that it has."""

from __future__ import annotations

from decimal import Decimal

import pytest

from switchgear.policy.decide import run_keys
from switchgear.policy.decision import Verdict
from switchgear.policy.rules import Mode, RunBudget
from switchgear.policy.vocabulary import FailureClass, RefusalReason
from tests.policy.service import Service, facts


def budget(**bounds):
    return RunBudget(id="rb", **bounds)


def step(target="search", **more):
    return facts(target, **{"run": "run-1"} | more)


def passed(service, *calls):
    return [service.call(call=call).verdict is Verdict.ALLOW for call in calls]


def used(service):
    (run,) = service.state.values()
    return run


@pytest.mark.parametrize(
    ("bounds", "calls", "expected"),
    [
        pytest.param(
            {"max_steps": 2},
            [step(), step(kind="model"), step(kind="model"), step()],
            [True, True, False, False],
            id="steps are calls of any kind",
        ),
        pytest.param(
            {"max_tool_calls": 1},
            [step(kind="model"), step(), step(), step(kind="model")],
            [True, True, False, True],
            id="tool calls",
        ),
        pytest.param(
            {"max_tool_calls": 0}, [step()], [False], id="no tool calls at all"
        ),
        pytest.param(
            {"max_tokens": 100},
            [step(tokens=60), step(tokens=41), step(tokens=40), step()],
            [True, False, True, False],
            id="tokens",
        ),
        pytest.param(
            {"max_usd": Decimal("0.1")},
            [
                step(cost_nano=60_000_000),
                step(cost_nano=40_000_001),
                step(cost_nano=40_000_000),
                step(cost_nano=0),
            ],
            [True, False, True, False],
            id="dollars",
        ),
        pytest.param(
            {"loop_threshold": 2},
            [
                step(arguments=b"a"),
                step(arguments=b"a"),
                step(arguments=b"a"),
                step(arguments=b"b"),
                step("lookup", arguments=b"a"),
                step(kind="model", arguments=b"a"),
            ],
            [True, True, False, True, True, True],
            id="the same target with the same arguments",
        ),
        pytest.param(
            {"loop_threshold": 1},
            [step(), step(), step()],
            [True, True, True],
            id="unknown arguments are no loop",
        ),
        pytest.param(
            {"max_steps": 1},
            [step(), step(run="run-2"), step(run=None), step(run=None)],
            [True, True, True, True],
            id="each run for itself, and no run is no run",
        ),
    ],
)
def test_a_run_stops_at_its_bounds(bounds, calls, expected):
    assert passed(Service(budget(**bounds)), *calls) == expected


def test_the_refusal_tells_a_model_to_finish():
    service = Service(budget(max_steps=1))

    _, refused = service.call(call=step()), service.call(call=step())

    assert refused.reason is RefusalReason.RUN_BUDGET
    assert (refused.retryable, refused.retry_after) == (False, None)
    assert refused.message == (
        "This run has used up its 1 calls (rb). Finish with what you have."
    )


@pytest.mark.parametrize(
    ("bounds", "gone"),
    [
        ({"max_wall_clock_s": 5}, "its 5 seconds"),
        ({"max_tokens": 7}, "its 7 tokens"),
        ({"max_usd": Decimal("0.5")}, "its 0.5 USD"),
        ({"max_tool_calls": 1}, "its 1 tool calls"),
        ({"loop_threshold": 1}, "its 1 calls of search with equal arguments"),
    ],
)
def test_every_bound_is_named_when_it_is_reached(bounds, gone):
    service = Service(budget(**bounds))
    call = step(tokens=7, cost_nano=500_000_000, arguments=b"a")
    service.call(call=call)
    service.now += 5

    assert gone in service.decide(call).message


def test_time_counts_from_the_first_call_of_the_run():
    service = Service(budget(max_wall_clock_s=10))
    service.call(call=step())
    service.now += 9.9
    assert service.call(call=step()).verdict is Verdict.ALLOW

    service.now += 0.1

    assert service.call(call=step()).verdict is Verdict.REFUSE


def test_retries_are_counted_per_target_and_are_no_steps():
    service = Service(budget(max_retries_per_tool=1, max_steps=2))
    service.call(call=step())

    allowed = [
        service.decide(step(target), attempt).verdict is Verdict.ALLOW
        for target, attempt in [("search", 2), ("search", 3), ("lookup", 2)]
    ]

    assert allowed == [True, False, True]
    assert service.call(call=step()).verdict is Verdict.ALLOW


def test_estimates_are_replaced_by_the_truth():
    service = Service(budget(max_tokens=100, max_usd=Decimal(1)))
    call = step(tokens=60, cost_nano=500)

    service.call(call=call, tokens=1, cost_nano=2)
    service.call(FailureClass.CANCELLED, call)

    assert (used(service).tokens, used(service).cost_nano) == (61, 502)


def test_parallel_calls_of_a_run_cannot_spend_the_same_dollar():
    service = Service(budget(max_usd=Decimal("0.000000100")))

    running = [service.decide(step(cost_nano=60)) for _ in range(2)]

    assert [each.verdict for each in running] == [Verdict.ALLOW, Verdict.REFUSE]


@pytest.mark.parametrize("attempt", [1, 2])
def test_an_attempt_that_never_ran_leaves_no_trace(attempt):
    service = Service(budget(max_steps=9))
    call = step(tokens=5, cost_nano=6, arguments=b"a")
    before = service.decide(step(kind="model")) and used(service)

    service.drop(service.decide(call, attempt))

    after = used(service)
    assert (after.steps, after.tool_calls, after.tokens, after.cost_nano) == (
        before.steps,
        before.tool_calls,
        before.tokens,
        before.cost_nano,
    )
    assert set(after.same.values()) | set(after.retries.values()) == {0}


def test_an_unknown_price_uses_up_a_hundredth_or_what_the_dearest_did():
    service = Service(budget(max_usd=Decimal(1)))
    service.call(call=step(cost_nano=None))
    assert used(service).cost_nano == 10_000_000

    service.call(call=step(cost_nano=5), cost_nano=200_000_000)
    service.call(call=step(cost_nano=None))

    assert used(service).cost_nano == 410_000_000


def test_only_the_latest_different_calls_are_remembered():
    service = Service(budget(loop_threshold=1))
    for number in range(1000):
        service.call(call=step(arguments=b"%d" % number))

    assert len(used(service).same) == 256
    assert passed(service, step(arguments=b"0"), step(arguments=b"999")) == [
        True,
        False,
    ]


def test_a_run_is_forgotten_an_hour_after_its_last_call():
    service = Service(budget(max_steps=9))
    service.call(call=step())

    assert not used(service).idle(service.now + 3599)
    assert used(service).idle(service.now + 3600)


def test_the_owner_is_told_what_is_remembered_of_a_run():
    service = Service(budget(max_steps=9))
    service.call(call=step())

    assert run_keys(service.policy, "run-1") == tuple(service.state)


def test_what_ends_after_its_run_was_forgotten_is_forgotten():
    service = Service(budget(max_steps=9))
    late = service.decide(step())
    service.state.clear()

    service.end(late, tokens=5)

    assert service.state == {}


def test_in_shadow_it_tells_and_goes_on():
    service = Service(budget(max_steps=1, mode=Mode.SHADOW))
    service.call(call=step())

    told = service.call(call=step())

    assert told.verdict is Verdict.SHADOW_REFUSE
    assert used(service).steps == 1
