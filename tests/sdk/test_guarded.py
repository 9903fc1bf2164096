"""Guarded functions: they behave as they did, except where a rule says otherwise."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from switchgear import FailureClass, Refused, current_call
from switchgear.testing import fixed_policy
from tests.sdk.rules import breaker, fallback, kill_switch, retry, rule


class Flaky:
    """Fails the first so many times."""

    def __init__(self, failures: int, error: BaseException | None = None) -> None:
        self.left, self.made = failures, 0
        self.error = error or ConnectionError("down")

    def __call__(self, answer: str = "answer") -> str:
        self.made += 1
        if self.left:
            self.left -= 1
            raise self.error
        return answer


def outcomes(seen) -> list[tuple[str, str, int]]:
    return [(call.target, call.outcome, call.attempts) for call in seen.calls]


@pytest.fixture(params=["sync", "async"])
def make(request, client):
    """A guarded function, in both worlds; it is called in the same way."""

    def make(function, name="search", **options):
        options = {"idempotent": True} | options
        if request.param == "sync":
            return client.tool(name, **options)(function)

        async def task(*args, **kwargs):
            await asyncio.sleep(0)
            return function(*args, **kwargs)

        guarded = client.tool(name, **options)(task)
        return lambda *args, **kwargs: asyncio.run(guarded(*args, **kwargs))

    return make


def test_without_rules_a_call_is_what_it_was(client, make):
    search = make(Flaky(0))

    with fixed_policy(client) as seen:
        assert search("shoes") == "shoes"

    assert outcomes(seen) == [("search", "ok", 1)]


def test_an_error_is_raised_as_it_was(client, make):
    search = make(Flaky(1, KeyError("x")))

    with fixed_policy(client) as seen, pytest.raises(KeyError, match="x"):
        search()

    assert outcomes(seen) == [("search", "failed", 1)]
    assert seen.calls[0].failure_class == "tool_error"


def test_a_retry_recovers(client, make):
    search = make(flaky := Flaky(2))

    with fixed_policy(client, retry(max_attempts=3)) as seen:
        assert search() == "answer"

    assert flaky.made == 3
    assert seen.waits == [0.2, 0.4]
    assert outcomes(seen) == [("search", "recovered", 3)]
    assert seen.calls[0].rule == "retry"


def test_the_last_error_is_raised_when_retries_are_used_up(client, make):
    search = make(flaky := Flaky(9))

    with fixed_policy(client, retry(max_attempts=3)) as seen:
        with pytest.raises(ConnectionError):
            search()

    assert flaky.made == 3
    assert outcomes(seen) == [("search", "failed", 3)]


def test_a_tool_that_may_have_had_an_effect_is_not_repeated(client, make):
    charge = make(flaky := Flaky(1), "charge", idempotent=False)

    with fixed_policy(client, retry()), pytest.raises(ConnectionError):
        charge()

    assert flaky.made == 1


@pytest.mark.parametrize("error", [ValueError("no"), TypeError("no"), KeyError("no")])
def test_a_local_error_is_not_worth_repeating(client, make, error):
    search = make(flaky := Flaky(1, error))

    with fixed_policy(client, retry()), pytest.raises(type(error)):
        search()

    assert flaky.made == 1


def test_a_target_is_left_alone_as_long_as_it_asks(client, make):
    error = ConnectionError("busy")
    error.retry_after = 4
    search = make(Flaky(1, error))

    with fixed_policy(client, retry()) as seen:
        search()

    assert seen.waits == [4.2]


def test_a_chain_goes_across_functions_with_the_same_arguments(client, make):
    make(lambda answer: f"cached {answer}", "cached")
    make(Flaky(9), "mirror")
    search = make(Flaky(9))

    with fixed_policy(client, fallback("mirror", "tool:cached")) as seen:
        assert search("shoes") == "cached shoes"

    assert outcomes(seen) == [
        ("mirror", "failed", 1),
        ("cached", "ok", 1),
        ("search", "fallback", 1),
    ]
    assert [call.fallback_from for call in seen.calls] == ["search", "search", None]
    assert seen.calls[-1].rule == "fallback"


def test_when_all_of_a_chain_fails_the_callers_own_error_is_raised(client, make):
    make(Flaky(9, ConnectionError("mirror")), "mirror")
    search = make(Flaky(9, ConnectionError("search")))

    with fixed_policy(client, fallback("mirror")) as seen:
        with pytest.raises(ConnectionError, match="search"):
            search()

    assert outcomes(seen) == [("mirror", "failed", 1), ("search", "failed", 1)]


def test_a_target_nobody_here_can_call_is_passed_over(client, make, caplog):
    make(lambda answer: f"cached {answer}", "cached")
    search = make(Flaky(9))

    with fixed_policy(client, fallback("elsewhere", "cached")) as seen:
        assert search("a") == "cached a"
        assert search("b") == "cached b"

    assert [call.target for call in seen.calls] == ["cached", "search"] * 2
    assert len(caplog.records) == 1
    assert "tool:elsewhere" in caplog.records[0].message


def test_attempts_of_a_chain_are_bounded_by_hops_times_attempts(client, make):
    flakies = {name: Flaky(99) for name in ("a", "b", "c", "d")}
    for name, flaky in flakies.items():
        make(flaky, name)
    search = make(first := Flaky(99))
    chain = fallback("a", "b", "c", "d", max_hops=3)

    with fixed_policy(client, chain, retry(max_attempts=2, retry_budget_percent=1000)):
        with pytest.raises(ConnectionError):
            search()

    assert first.made + sum(flaky.made for flaky in flakies.values()) == 4 * 2
    assert flakies["d"].made == 0


def test_what_the_code_offers_is_used_where_no_rule_says_otherwise(client, make):
    search = make(Flaky(9, RuntimeError("?")), fallback=lambda: "from code")
    make(lambda: "from policy", "policy")

    with fixed_policy(client) as seen:
        assert search() == "from code"
    with fixed_policy(client, fallback("policy", on=["unknown"])):
        assert search() == "from policy"

    assert [call.outcome for call in seen.calls] == ["ok", "fallback"]


def test_the_code_offers_functions_names_and_guarded_functions(client):
    @client.tool("third")
    def third():
        return "third"

    @client.tool()
    def second():
        raise ConnectionError

    def first():
        raise ConnectionError

    search = client.tool("search", fallback=[first, "second", third])(Flaky(9))
    with fixed_policy(client) as seen:
        assert search() == "third"

    assert [call.target for call in seen.calls] == [
        *("first", "second", "third", "search")
    ]


@pytest.mark.parametrize("error", [TypeError, ValueError, RuntimeError, TimeoutError])
def test_what_the_code_offers_is_used_whatever_broke(client, make, error):
    search = make(Flaky(9, error()), fallback=lambda answer="": "offered")

    with fixed_policy(client):
        assert search() == "offered"


def test_what_the_code_offers_is_not_for_callers_mistakes(client, make):
    class BadRequestError(Exception):
        pass

    search = make(Flaky(9, BadRequestError()), fallback=lambda: "offered")

    with fixed_policy(client), pytest.raises(BadRequestError):
        search()


def test_a_refusal_is_raised_and_nothing_is_called(client, make):
    search = make(flaky := Flaky(0))
    killed = kill_switch("search", message="Search is being moved.")

    with fixed_policy(client, killed) as seen, pytest.raises(Refused) as raised:
        search()

    assert flaky.made == 0
    assert (raised.value.reason, raised.value.rule) == ("kill_switch", "kill")
    assert outcomes(seen) == [("search", "refused", 0)]
    assert seen.calls[0].refusal_reason == "kill_switch"


def test_a_refused_call_goes_on_to_the_chain(client, make):
    make(lambda answer: f"cached {answer}", "cached")
    search = make(flaky := Flaky(0))
    chain = fallback("cached", on=["kill_switch"])

    with fixed_policy(client, kill_switch("search"), chain) as seen:
        assert search("shoes") == "cached shoes"

    assert flaky.made == 0
    assert outcomes(seen) == [("cached", "ok", 1), ("search", "fallback", 0)]


def test_a_suppressed_retry_is_no_refusal(client, make):
    search = make(flaky := Flaky(9))
    one = rule("rate_limit", id="one", limit=1, period_s=3600)

    with fixed_policy(client, retry(), one) as seen, pytest.raises(ConnectionError):
        search()

    assert flaky.made == 1
    assert outcomes(seen) == [("search", "failed", 1)]
    assert seen.calls[0].refusal_reason is None


def test_a_suppressed_retry_leaves_the_call_to_its_chain(client, make):
    make(lambda answer="": "cached", "cached")
    search = make(flaky := Flaky(9))
    one = rule(
        "rate_limit", id="one", limit=1, period_s=3600, selector={"target": "search"}
    )

    with fixed_policy(client, retry(), one, fallback("cached")) as seen:
        assert search() == "cached"

    assert flaky.made == 1
    assert outcomes(seen) == [("cached", "ok", 1), ("search", "fallback", 1)]


def test_a_breaker_opens_and_the_chain_answers_at_once(client, make):
    make(lambda answer="": "cached", "cached")
    search = make(flaky := Flaky(99))

    with fixed_policy(client, breaker(), fallback("cached")) as seen:
        for _ in range(12):
            assert search() == "cached"

    assert flaky.made == 5
    reasons = [call.refusal_reason for call in seen.calls if call.target == "search"]
    assert reasons == [None] * 5 + ["breaker"] * 7


def test_a_shadow_rule_changes_nothing_but_what_is_told(client, make):
    search = make(Flaky(0))

    with fixed_policy(client, kill_switch("search", mode="shadow")) as seen:
        assert search("x") == "x"

    assert outcomes(seen) == [("search", "ok", 1)]
    assert seen.calls[0].rule == "kill"


def test_an_answer_that_says_it_is_an_error_is_one(client, make):
    search = make(lambda: {"isError": True, "content": []})

    with fixed_policy(client) as seen:
        assert search() == {"isError": True, "content": []}

    assert outcomes(seen) == [("search", "failed", 1)]
    assert seen.calls[0].failure_class == "tool_error"


def test_a_hundred_answers_that_say_error_leave_the_breaker_closed(client, make):
    search = make(lambda: {"isError": True})

    with fixed_policy(client, breaker()) as seen:
        for _ in range(100):
            search()

    assert {call.outcome for call in seen.calls} == {"failed"}


def test_a_classifier_that_raises_makes_it_unknown_and_gives_the_slot_back(
    client, make
):
    slots = rule("concurrency", id="slots", max_concurrent_calls=1)
    search = make(Flaky(3), classify=lambda error: 1 / 0)

    with fixed_policy(client, slots) as seen:
        for _ in range(3):
            with pytest.raises(ConnectionError):
                search()
        assert search() == "answer"

    assert {call.failure_class for call in seen.calls} == {"unknown", None}


def test_a_run_stops_at_its_budget_and_the_next_begins_anew(client, make):
    search = make(Flaky(0))
    budget = rule("run_budget", id="run", max_tool_calls=2, loop_threshold=9)

    with fixed_policy(client, budget):
        for _ in range(2):
            with client.run(agent="shopper"):
                search()
                with client.run(agent="helper"):
                    search()
                    with pytest.raises(Refused, match=r".") as raised:
                        search()
                assert raised.value.reason == "run_budget"
                assert not raised.value.retryable


def test_a_run_that_goes_in_circles_is_stopped(client, make):
    search = make(Flaky(0))

    with fixed_policy(client, rule("run_budget", id="run", loop_threshold=2)):
        with client.run():
            search("shoes")
            search("boots")
            search("shoes")
            with pytest.raises(Refused):
                search("shoes")


def test_rules_see_for_whom_a_call_is_made(client, make):
    search = make(Flaky(0))
    selector = {"tenant": "acme", "agent": "shopper"}

    with fixed_policy(client, kill_switch("search", selector=selector)) as seen:
        search()
        with client.run(tenant="acme", agent="buyer"):
            search()
        with client.run(tenant="acme", agent="shopper"), pytest.raises(Refused):
            search()

    assert [call.tenant for call in seen.calls] == [None, "acme", "acme"]


def test_a_function_can_ask_for_its_time_and_say_what_it_used(client):
    budget = rule("quota", id="money", unit="usd", limit="0.01")

    @client.model("large-1")
    def ask():
        call = current_call()
        call.used(input_tokens=10, output_tokens=5, cost_usd=0.009)
        return call.target, call.timeout_s, call.attempts

    with fixed_policy(client, rule("timeout", id="t", timeout_ms=1500), budget):
        assert ask() == ("large-1", 1.5, 1)
        assert current_call() is None
        with pytest.raises(Refused) as raised:
            [ask() for _ in range(3)]

    assert raised.value.reason == "quota"


def test_a_failure_that_nothing_raises_can_be_told(client):
    @client.tool()
    def search():
        current_call().failed(FailureClass.SERVER_ERROR)
        return "half an answer"

    with fixed_policy(client) as seen:
        assert search() == "half an answer"

    assert seen.calls[0].failure_class == "server_error"


def test_another_model_is_asked_through_the_same_function(client):
    asked = []

    @client.model("large-1", named_by="model")
    def ask(prompt, model="large-1", *, loud=False):
        asked.append(model)
        if model == "large-1":
            raise ConnectionError
        return f"{model}: {prompt}"

    chain = fallback("small-1", selector={"model": "large-1"})
    with fixed_policy(client, chain) as seen:
        assert ask("hi") == "small-1: hi"
        assert ask("hi", "large-1") == "small-1: hi"
        assert ask(prompt="hi", model="large-1", loud=True) == "small-1: hi"
        assert ask("hi", model="tiny-1") == "tiny-1: hi"

    assert asked == ["large-1", "small-1"] * 3 + ["tiny-1"]
    assert [call.target for call in seen.calls][-1] == "tiny-1"


def test_a_task_is_not_waited_for_by_who_cannot(client, caplog):
    @client.tool("later")
    async def later():
        return "later"

    search = client.tool("search", fallback=later)(Flaky(9))

    with fixed_policy(client), pytest.raises(ConnectionError):
        search()

    assert "only works in tasks" in caplog.text


def test_a_task_falls_back_to_a_plain_function(client):
    @client.tool("search", fallback=lambda: "plain")
    async def search():
        raise ConnectionError

    with fixed_policy(client):
        assert asyncio.run(search()) == "plain"


def test_a_task_is_ended_when_its_time_is_over(client):
    @client.tool("search", fallback=lambda: "in time")
    async def search():
        await asyncio.sleep(30)

    with fixed_policy(client, rule("timeout", id="t", timeout_ms=20)) as seen:
        assert asyncio.run(search()) == "in time"

    assert seen.calls[-1].failure_class == "timeout"


def test_a_task_that_is_cancelled_gives_everything_back(client):
    slots = rule("concurrency", id="slots", max_concurrent_calls=1)

    @client.tool("search", idempotent=True)
    async def search(seconds):
        await asyncio.sleep(seconds)
        return "answer"

    async def main():
        task = asyncio.create_task(search(30))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await search(0)

    with fixed_policy(client, slots, retry()) as seen:
        assert asyncio.run(main()) == "answer"

    assert outcomes(seen) == [("search", "cancelled", 1), ("search", "ok", 1)]


def test_a_caller_that_gives_up_between_attempts_has_cancelled(client, monkeypatch):
    search = client.tool("search", idempotent=True)(Flaky(9))

    def interrupted(seconds):
        raise KeyboardInterrupt

    with fixed_policy(client, retry()) as seen:
        client._core.sleep = interrupted
        with pytest.raises(KeyboardInterrupt):
            search()

    assert outcomes(seen) == [("search", "cancelled", 1)]
    assert seen.calls[0].failure_class == "cancelled"


def test_retries_that_wait_have_been_paid_for(client):
    """A hundred calls fail at once; their budget holds while all of them wait."""
    made = []

    @client.tool("search", idempotent=True)
    async def search():
        made.append(1)
        raise ConnectionError

    async def main():
        waiting = [search() for _ in range(100)]
        return await asyncio.gather(*waiting, return_exceptions=True)

    with fixed_policy(client, retry(retry_budget_percent=20)):
        client._core.sleep_async = lambda seconds: asyncio.sleep(0.01)
        answers = asyncio.run(main())

    assert {type(answer) for answer in answers} == {ConnectionError}
    assert 100 < len(made) <= 100 + 10 + 20


def test_a_task_that_gives_up_between_attempts_has_cancelled(client):
    @client.tool("search", idempotent=True)
    async def search():
        raise ConnectionError

    async def main():
        client._core.sleep_async = lambda seconds: asyncio.sleep(30)
        task = asyncio.create_task(search())
        await asyncio.sleep(0.02)
        task.cancel()
        await task

    with fixed_policy(client, retry()) as seen, pytest.raises(asyncio.CancelledError):
        asyncio.run(main())

    assert outcomes(seen) == [("search", "cancelled", 1)]


def test_a_guarded_function_looks_like_the_one_it_guards(client):
    @client.tool("search")
    def search(query: str, limit: int = 3) -> list[str]:
        """Find things."""
        return [query] * limit

    class Shop:
        @client.tool("find")
        def find(self, query):
            return self, query

    shop = Shop()
    assert search.__name__ == "search"
    assert search.__doc__ == "Find things."
    assert list(inspect.signature(search).parameters) == ["query", "limit"]
    assert search("a", limit=1) == ["a"]
    assert shop.find("x") == (shop, "x")
    assert inspect.iscoroutinefunction(client.tool("t")(asyncio.sleep))


def test_stop_iteration_is_an_error_like_any_other(client):
    search = client.tool("search")(Flaky(1, StopIteration("end")))

    with fixed_policy(client), pytest.raises(StopIteration, match="end"):
        search()


def test_an_unknown_kind_is_a_mistake_that_is_told_at_once(client):
    with pytest.raises(ValueError, match="gadget"):
        client.guard("gadget", "x")(Flaky(0))
