"""Rules, conditions and changes in the words of pages."""

from __future__ import annotations

import pytest

from dashboards.policy import words
from dashboards.policy.kinds import GROUPS, KINDS
from dashboards.wording import CROSS, NBSP
from switchgear.policy.documents.reading import read_rule, rule_document
from switchgear.policy.rules import KINDS as RULES

SAID = [
    ("retry", {}, f"3~attempts, 200~ms {CROSS}~2, full jitter"),
    ("retry", {"max_attempts": 1}, "No second attempt"),
    ("retry", {"jitter": "none"}, f"3~attempts, 200~ms {CROSS}~2, no jitter"),
    ("timeout", {}, "30~s an attempt"),
    (
        "timeout",
        {"timeout_ms": 90_000, "first_byte_ms": 1500, "idle_stream_ms": 800},
        "90~s an attempt, first byte in 1.5~s, silent for 800~ms",
    ),
    ("circuit_breaker", {}, "Opens at 50~% of 20 attempts in 1~min"),
    (
        "circuit_breaker",
        {"sliding_window_type": "count", "sliding_window_size": 40},
        "Opens at 50~% of the last 40 attempts",
    ),
    (
        "circuit_breaker",
        {"operator_state": "forced_open"},
        "Forced open: refuses all",
    ),
    (
        "fallback",
        {"chain": [{"target": "tool:search.lite"}, {"target": "search.old"}]},
        "search.lite, then search.old",
    ),
    ("rate_limit", {"limit": 1000}, "1,000~calls per 1~min"),
    (
        "rate_limit",
        {"limit": 5, "unit": "tokens_total", "period_s": 10, "per": ["tenant"]},
        "5~tokens per 10~s, per tenant",
    ),
    ("concurrency", {"per": ["tenant", "agent"]}, "25 at a time, per tenant and agent"),
    ("quota", {"unit": "usd", "limit": "2.50"}, "$2.50 per day"),
    (
        "quota",
        {"unit": "calls", "limit": "100", "window": {"period": "PT5M"}},
        "100~calls per PT5M",
    ),
    (
        "run_budget",
        {"max_tool_calls": 20, "max_wall_clock_s": 60, "max_usd": "0.25"},
        "20~tool calls, 1~min, $0.25 a run",
    ),
    ("run_budget", {"loop_threshold": 2}, "2~equal calls a run"),
    ("quota", {"unit": "usd", "limit": "1000.125"}, "$1,000.125 per day"),
    ("run_budget", {"max_retries_per_tool": 1}, "1~retry a target a run"),
    (
        "kill_switch",
        {"message": "Paused", "expires_at": "2026-11-20T12:00:00Z"},
        "Refuses: Paused",
    ),
    (
        "kill_switch",
        {"effect": "fallback", "message": "P", "expires_at": "2026-11-20T12:00:00Z"},
        "Goes to the fallback: P",
    ),
]


def full(kind, told):
    return rule_document(read_rule({"id": "r", "kind": kind} | told, strict=False))


@pytest.mark.parametrize(("kind", "told", "said"), SAID)
def test_a_rule_says_what_it_does_in_half_a_sentence(kind, told, said):
    assert words.summary(kind, full(kind, told)) == said.replace("~", NBSP)


def test_every_kind_has_a_name_a_group_and_words():
    grouped = [kind for group in GROUPS for kind in group.kinds]

    assert sorted(grouped) == sorted(RULES) == sorted(KINDS)
    assert sorted(words.SUMMARIES) == sorted(RULES)


@pytest.mark.parametrize(
    ("wanted", "condition"),
    [
        ("acme", ("tenant", "", "acme")),
        (["acme", "globex"], ("tenant", "one of", "acme, globex")),
        ({"glob": "ac*"}, ("tenant", "like", "ac*")),
        ({"not": ["acme", "globex"]}, ("tenant", "not", "acme, globex")),
        ({"not": "acme"}, ("tenant", "not", "acme")),
    ],
)
def test_a_condition_is_a_fact_a_test_and_a_value(wanted, condition):
    assert words.conditions({"tenant": wanted}) == [condition]


def test_a_change_has_its_old_and_new_parts_marked():
    before = read_rule({"id": "r", "kind": "retry"}, strict=False)
    after = read_rule({"id": "r", "kind": "retry", "max_attempts": 5}, strict=False)

    (told,) = words.told([before], [after])

    assert (told["rule"], told["change"], told["sign"]) == ("r", "changed", "~")
    assert [part["was"] for part in told["parts"] if part["was"]] == ["3"]
    assert [part["now"] for part in told["parts"] if part["now"]] == ["5"]
    assert "->" not in "".join(part["text"] for part in told["parts"])


@pytest.mark.parametrize(
    ("amount", "said"),
    [("25", "$25"), ("1000.00", "$1,000"), ("2.5", "$2.50"), ("0.004", "$0.004")],
)
def test_money_shows_no_more_digits_than_it_needs(amount, said):
    assert words.money(amount) == said
