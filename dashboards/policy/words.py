"""Rules in words: what one does, which calls it is about, what a change is. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from dashboards.policy.kinds import KINDS
from dashboards.wording import CROSS, NBSP, plural
from switchgear.policy.documents.reading import rule_document
from switchgear.policy.review.changes import Change, Now, Sentence, Was, sentences
from switchgear.policy.rules import Rule

Document = Mapping[str, Any]

SECOND_MS, MINUTE_MS = 1000, 60_000
UNITS = {"calls": "calls", "tokens_total": "tokens", "seconds": "seconds"}
PERIODS = {"PT1H": "hour", "P1D": "day", "P1W": "week", "P1M": "month"}
STATES = {
    "forced_open": "Forced open: refuses all",
    "disabled": "Disabled: lets everything through",
    "metrics_only": "Counts, but never opens",
}


class Condition(NamedTuple):
    """One condition of a selector, as a chip shows it."""

    fact: str
    test: str  # "", "one of", "like" or "not"
    value: str


def conditions(selector: Document) -> list[Condition]:
    return [condition(fact, wanted) for fact, wanted in selector.items()]


def condition(fact: str, wanted: Any) -> Condition:
    if isinstance(wanted, str):
        return Condition(fact, "", wanted)
    if isinstance(wanted, list):
        return Condition(fact, "one of", ", ".join(wanted))
    if "glob" in wanted:
        return Condition(fact, "like", wanted["glob"])
    values = wanted["not"]
    return Condition(
        fact, "not", values if isinstance(values, str) else ", ".join(values)
    )


def span(ms: float) -> str:
    """A length of time as people say it: 200 ms, 1.5 s, 5 min."""
    for size, unit in ((MINUTE_MS, "min"), (SECOND_MS, "s")):
        if ms >= size and (ms % size == 0 or unit == "s"):
            return f"{ms / size:g}{NBSP}{unit}"
    return f"{ms:g}{NBSP}ms"


def money(text: str) -> str:
    """Whole dollars, or cents and what is smaller: $25, $2.50, $0.004."""
    amount = Decimal(text)
    if amount == amount.to_integral_value():
        return f"${amount:,.0f}"
    return f"${max(f'{amount:,.2f}', f'{amount:,f}', key=len)}"


def summary(kind: str, document: Document) -> str:
    """What a rule does, in half a sentence."""
    return SUMMARIES[kind](document)


def _retry(rule: Document) -> str:
    attempts = plural(rule["max_attempts"], "attempt")
    if rule["max_attempts"] == 1:
        return "No second attempt"
    wait = span(rule["wait_duration_ms"])
    grown = f"{CROSS}{NBSP}{rule['exponential_backoff_multiplier']:g}"
    jitter = "full jitter" if rule["jitter"] == "full" else "no jitter"
    return f"{attempts}, {wait} {grown}, {jitter}"


def _timeout(rule: Document) -> str:
    parts = [f"{span(rule['timeout_ms'])} an attempt"]
    if "first_byte_ms" in rule:
        parts.append(f"first byte in {span(rule['first_byte_ms'])}")
    if "idle_stream_ms" in rule:
        parts.append(f"silent for {span(rule['idle_stream_ms'])}")
    return ", ".join(parts)


def _circuit_breaker(rule: Document) -> str:
    if rule["operator_state"] in STATES:
        return STATES[rule["operator_state"]]
    size = rule["sliding_window_size"]
    if rule["sliding_window_type"] == "time":
        window = f"{rule['minimum_number_of_calls']} attempts in {span(size * 1000)}"
    else:
        window = f"the last {size} attempts"
    return f"Opens at {rule['failure_rate_threshold']}{NBSP}% of {window}"


def _fallback(rule: Document) -> str:
    return ", then ".join(
        hop["target"].partition(":")[2] or hop["target"] for hop in rule["chain"]
    )


def _rate_limit(rule: Document) -> str:
    number = f"{rule['limit']:,}{NBSP}{UNITS[rule['unit']]}"
    return f"{number} per {span(rule['period_s'] * 1000)}{_per(rule)}"


def _concurrency(rule: Document) -> str:
    return f"{rule['max_concurrent_calls']:,} at a time{_per(rule)}"


def _quota(rule: Document) -> str:
    limit, unit, period = rule["limit"], rule["unit"], rule["window"]["period"]
    amount = money(limit) if unit == "usd" else f"{limit}{NBSP}{UNITS[unit]}"
    return f"{amount} per {PERIODS.get(period, period)}{_per(rule)}"


def _run_budget(rule: Document) -> str:
    parts = [
        plural(rule[name], one)
        for name, one in (
            ("max_steps", "step"),
            ("max_tool_calls", "tool call"),
            ("max_tokens", "token"),
        )
        if name in rule
    ]
    if "max_retries_per_tool" in rule:
        parts.append(
            f"{plural(rule['max_retries_per_tool'], 'retry', 'retries')} a target"
        )
    if "max_wall_clock_s" in rule:
        parts.append(span(rule["max_wall_clock_s"] * 1000))
    if "max_usd" in rule:
        parts.append(money(rule["max_usd"]))
    if not parts:
        parts.append(plural(rule["loop_threshold"], "equal call"))
    return f"{', '.join(parts)} a run"


def _kill_switch(rule: Document) -> str:
    effect = "Refuses" if rule["effect"] == "deny" else "Goes to the fallback"
    return f"{effect}: {rule['message']}"


def _per(rule: Document) -> str:
    return f", per {' and '.join(rule['per'])}" if rule.get("per") else ""


SUMMARIES: dict[str, Callable[[Document], str]] = {
    "retry": _retry,
    "timeout": _timeout,
    "circuit_breaker": _circuit_breaker,
    "fallback": _fallback,
    "rate_limit": _rate_limit,
    "concurrency": _concurrency,
    "quota": _quota,
    "run_budget": _run_budget,
    "kill_switch": _kill_switch,
}


SIGNS = {Change.ADDED: "+", Change.REMOVED: "\N{MINUS SIGN}", Change.CHANGED: "~"}
BECOMES = " -> "


def listed(rule: Rule) -> dict[str, Any]:
    """One rule of a version, as a row."""
    document = rule_document(rule)
    return {
        "id": rule.id,
        "icon": KINDS[rule.KIND].icon,
        "summary": summary(rule.KIND, document),
        "conditions": conditions(rule.selector.document()),
        "mode": rule.mode.value,
        "tier": rule.tier.value,
    }


def told(before: Iterable[Rule], after: Iterable[Rule]) -> list[dict[str, Any]]:
    """What changes, in sentences whose old and new parts a page can mark."""
    return [marked(one) for one in sentences(before, after)]


def marked(sentence: Sentence) -> dict[str, Any]:
    return {
        "rule": sentence.rule,
        "change": sentence.change.value,
        "sign": SIGNS[sentence.change],
        "parts": [_part(word) for word in sentence.words],
    }


def _part(word: str) -> dict[str, str]:
    was = str(word) if isinstance(word, Was) else ""
    now = str(word) if isinstance(word, Now) else ""
    text = "" if was or now else str(word)
    # Struck out and highlighted, the two need no arrow between them.
    return {"was": was, "now": now, "text": " " if text == BECOMES else text}
