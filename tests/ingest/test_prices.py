"""Cost: from the sender, else an operator, else the public list, else unpriced."""

from __future__ import annotations

from decimal import Decimal

import genai_prices
import pytest
from genai_prices import data_snapshot
from hypothesis import given
from hypothesis import strategies as st

from controlplane.readings import PriceReading
from ingest import prices
from ingest.prices import PriceBook, price_book
from ingest.records import Usage
from tests.ingest.understanding import RECEIVED_NS, model, reading, tool, understood

DAY_NS = 86_400 * 10**9
COUNTS = st.integers(0, 10**6)


def price(unit, nano_usd, **changes):
    given_ = {
        "kind": "tool",
        "target": "*",
        "unit": unit,
        "nano_usd": nano_usd,
        "from_ns": 0,
        "to_ns": None,
    }
    return PriceReading(**{**given_, **changes})


def book(*prices):
    return reading(price_book=PriceBook(prices))


def chat(read=None, **said):
    words = {
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
    }
    words.update({f"gen_ai.{key}": value for key, value in said.items()})
    return model(words, read=read)


def cost(usage, *, name="gpt-4o-mini", provider="openai", at_ns=RECEIVED_NS):
    return PriceBook().cost(
        kind="model",
        target=name,
        at_ns=at_ns,
        tokens=usage,
        provider=provider,
        model=name,
    )


# Reported


@pytest.mark.parametrize(
    ("said", "nano"),
    [
        ({"gen_ai.usage.cost.amount": 0.5}, 500_000_000),
        (
            {"gen_ai.usage.cost.amount": 0.5, "gen_ai.usage.cost.currency": "USD"},
            500_000_000,
        ),
        ({"gen_ai.cost.total_cost": 3.5999999999999994e-05}, 36_000),
        ({"llm.cost.total": "0.25"}, 250_000_000),
        ({"operation.cost": 0.000765}, 765_000),
        ({"hidden_params": '{"response_cost": 1e-09}'}, 1),
        ({"operation.cost": 0.0}, 0),
    ],
    ids=str,
)
def test_what_the_sender_says_it_cost_counts(said, nano):
    span = model(said)

    assert (span.usage.cost, span.unpriced) == (nano, False)


@pytest.mark.parametrize(
    "said",
    [
        {"gen_ai.usage.cost.amount": 0.5, "gen_ai.usage.cost.currency": "EUR"},
        {"operation.cost": 10.0**12},
        {"operation.cost": -1},
    ],
    ids=str,
)
def test_an_unusable_cost_is_silence(said):
    assert model(said).usage is None


def test_zero_beside_tokens_is_ignorance():
    span = chat(**{"usage.cost": 0.0})

    assert span.usage.cost == 210_000


def test_zeros_of_a_failed_call_are_no_usage():
    said = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.level": "ERROR",
        "langfuse.observation.cost_details": '{"input": 0, "output": 0, "total": 0}',
    }

    assert understood(said).usage is None


# The public list


def test_a_model_is_priced_by_what_answered():
    span = chat(**{"response.model": "gpt-4o-mini-2026-02-01"})

    assert (span.usage.cost, span.unpriced) == (1000 * 150 + 100 * 600, False)


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("openai", "nobody-knows-this"),
        ("my-own-cluster", "gpt-4o-mini"),
        (None, "nobody-knows-this"),
        ("openai", ""),
    ],
)
def test_what_nobody_knows_is_unpriced_and_never_free(provider, name):
    assert cost(Usage(1000, 100), provider=provider, name=name) is None


def test_an_unpriced_span_says_so():
    span = chat(**{"request.model": "nobody-knows-this"})

    assert (span.usage.cost, span.unpriced) == (None, True)


def test_a_span_without_usage_is_not_unpriced():
    assert not model({"gen_ai.request.model": "gpt-4o"}).unpriced


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("gcp.vertex_ai", "gemini-2.5-flash-001"),
        ("openai", "openai/gpt-4o-mini"),
        ("azure.ai.openai", "gpt-4o-mini"),
        ("mistral_ai", "mistral-large-2411"),
        (None, "claude-sonnet-4-5-20250929"),
    ],
)
def test_names_are_found_as_senders_write_them(provider, name):
    assert cost(Usage(1000, 100), provider=provider, name=name) > 0


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_our_arithmetic_is_that_of_the_list(total, output, read, written):
    read = min(read, total)
    written = min(written, total - read)
    for name, provider in (
        ("claude-sonnet-4-5", "anthropic"),
        ("gemini-2.5-pro", "google"),
        ("gpt-4o-mini", "openai"),
    ):
        theirs = genai_prices.calc_price(
            genai_prices.Usage(
                input_tokens=total,
                output_tokens=output,
                cache_read_tokens=read,
                cache_write_tokens=written if provider == "anthropic" else 0,
            ),
            name,
            provider_id=provider,
        ).total_price

        ours = cost(
            Usage(total, output, read, written if provider == "anthropic" else 0),
            name=name,
            provider="gcp.gemini" if provider == "google" else provider,
        )

        assert abs(Decimal(ours) - theirs * 10**9) <= Decimal("0.5")


def test_a_larger_input_pays_the_price_of_its_level():
    at_the_bound = cost(Usage(200_000, 0), name="gemini-2.5-pro", provider=None)
    beyond = cost(Usage(200_001, 0), name="gemini-2.5-pro", provider=None)

    assert beyond > 1.9 * at_the_bound


def test_more_parts_than_the_whole_are_cut():
    assert cost(Usage(100, 10, 500, 500, 50)) == cost(Usage(100, 10, 100, 0, 10))


def test_an_answer_without_a_known_question_has_no_price():
    assert cost(Usage(output=100)) is None


def test_a_model_that_embeds_has_no_price_for_answers():
    assert cost(Usage(1000), name="text-embedding-3-small") == 20_000
    assert cost(Usage(1000, 5), name="text-embedding-3-small") is None


def test_a_model_priced_by_other_units_is_unpriced():
    assert cost(Usage(1000, 5), name="whisper-1") is None


def test_a_price_is_that_of_its_day():
    # o3 became cheaper on 2025-06-10.
    before, after = (
        cost(Usage(1000), name="o3", at_ns=seconds * 10**9)
        for seconds in (1_746_000_000, 1_752_000_000)
    )

    assert before > after


def test_memory_of_prices_is_bounded(monkeypatch):
    monkeypatch.setattr("ingest.prices._KEPT", 1)
    prices = PriceBook((price("call", 7),))
    costs = [
        prices.cost(kind="tool", target=name, at_ns=1, model=name, tokens=Usage(1))
        for name in ("a", "b", "a")
    ]

    assert costs == [7, 7, 7]


# Operators


def test_a_tool_costs_what_an_operator_says():
    assert tool(read=book(price("call", 10_000_000))).usage == Usage(cost=10_000_000)
    assert tool(read=book(price("second", 1000))).usage == Usage(cost=250)


def test_a_tool_without_a_price_is_nothing_to_price():
    span = tool(read=book(price("call", 5, target="other")))

    assert (span.usage, span.unpriced) == (None, False)


def test_units_cost_when_they_are_told():
    per_unit = book(price("unit", 1000))

    assert tool({"switchgear.units": 2.5}, read=per_unit).usage.cost == 2500
    assert tool(read=per_unit).usage is None


def test_a_tool_that_did_not_run_costs_nothing():
    per_call = book(price("call", 5))

    assert tool({"switchgear.decision": "cache"}, read=per_call).usage is None
    assert tool({"switchgear.refusal_reason": "quota"}, read=per_call).usage is None


@pytest.mark.parametrize("operation", ["invoke_agent", "agent_step", "invoke_workflow"])
def test_a_price_per_call_is_not_charged_to_a_container(operation):
    per_call = book(price("call", 5, kind="model"))

    assert understood({"gen_ai.operation.name": operation}, read=per_call).usage is None


def test_time_without_a_clock_has_no_price():
    assert tool(read=book(price("second", 5)), end_time_unix_nano=0).usage is None


@pytest.mark.parametrize(
    ("prices", "nano"),
    [
        ([price("call", 1), price("call", 2)], 1),
        ([price("call", 1, to_ns=RECEIVED_NS - DAY_NS), price("call", 2)], 2),
        ([price("call", 1, from_ns=RECEIVED_NS + DAY_NS), price("call", 2)], 2),
        ([price("call", 1, kind="model"), price("call", 2)], 2),
        ([price("call", 1, target="sea*"), price("call", 2)], 1),
        ([price("call", 1), price("second", 1000)], 251),
    ],
    ids=["first", "ended", "to come", "of a kind", "glob", "per unit"],
)
def test_the_first_valid_price_of_a_unit_counts(prices, nano):
    assert tool(read=book(*prices)).usage.cost == nano


def test_an_operator_s_price_of_a_unit_beats_the_list_s():
    read = book(price("input_token", 1, kind="model"))

    assert chat(read=read).usage.cost == 1000 + 100 * 600


def test_an_operator_can_price_what_the_list_does_not_know():
    known = [price("input_token", 2, kind="model"), price("call", 5, kind="model")]
    both = [*known, price("output_token", 3, kind="model")]
    name = {"request.model": "own-model"}

    assert chat(read=book(*both), **name).usage.cost == 5 + 2000 + 300
    assert chat(read=book(*known), **name).usage.cost is None
    assert chat(read=book(known[1]), **name).usage.cost == 5


def test_an_output_price_alone_prices_nothing():
    read = book(price("output_token", 3, kind="model"))

    assert chat(read=read, **{"request.model": "own-model"}).usage.cost is None


@pytest.mark.parametrize(("nano_per_second", "nano"), [(1, 0), (2, 1), (5, 1), (6, 2)])
def test_a_half_nano_is_rounded_up(nano_per_second, nano):
    # A quarter of a second.
    assert tool(read=book(price("second", nano_per_second))).usage.cost == nano


def test_one_book_per_set_of_prices():
    assert price_book(()) is price_book(())


def test_the_public_list_is_read_once_and_before_anything_is_priced(monkeypatch):
    times = []
    found = data_snapshot.get_snapshot
    monkeypatch.setattr(
        data_snapshot, "get_snapshot", lambda: times.append("read") or found()
    )
    prices._warmed.clear()

    prices.warm()
    prices.warm()

    assert times == ["read"]
    assert prices.is_warm()
