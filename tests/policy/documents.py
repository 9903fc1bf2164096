"""Rules and documents for the tests of the kernel: by hand and by hypothesis."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from switchgear.policy.documents.reading import read_rule
from switchgear.policy.documents.values import time_text
from switchgear.policy.errors import PolicyError
from switchgear.policy.rules import KINDS, KillSwitch, Rule, RunBudget, parameters
from switchgear.policy.rules.parameters import Parameter, Type
from switchgear.policy.vocabulary import Kind

# What a rule of each kind must be told.
LEAST: dict[str, dict[str, Any]] = {
    "retry": {},
    "timeout": {},
    "circuit_breaker": {},
    "fallback": {"chain": [{"target": "search.lite"}]},
    "rate_limit": {"limit": 10},
    "concurrency": {},
    "quota": {"unit": "usd", "limit": "5"},
    "run_budget": {"max_steps": 20},
    "kill_switch": {"expires_at": "2026-11-20T12:00:00Z"},
}


def document(kind: str, name: str = "", **fields: Any) -> dict[str, Any]:
    return {"id": name or f"{kind}-1", "kind": kind} | LEAST[kind] | fields


def rule(kind: str, name: str = "", **fields: Any) -> Rule:
    return read_rule(document(kind, name, **fields), strict=True)


def refusal(given: object, *, strict: bool = True, **arguments: Any) -> PolicyError:
    """The error a document is refused with."""
    try:
        read_rule(given, strict=strict, **arguments)
    except PolicyError as error:
        return error
    raise AssertionError


names = st.text("abcxyz.:_-", min_size=1, max_size=6)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["enforce", "tool", "a*b", "PT5M", "UTC", "2026-11-20T12:00:00Z"]
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["glob", "not", "target", "timeout_ms", "period", "tz"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


def conditions(values: st.SearchStrategy[str] = names) -> st.SearchStrategy[Any]:
    lists = st.lists(values, min_size=1, max_size=3, unique=True)
    patterns = st.text("ab.*", min_size=1, max_size=5)
    return (
        values
        | lists
        | lists.map(lambda given: {"not": given})
        | patterns.map(lambda given: {"glob": given})
    )


selectors = st.fixed_dictionaries(
    {},
    optional={
        "target": conditions(st.sampled_from(["a", "b", "tool:a", "model:b", "ab.c"])),
        "model": conditions(st.sampled_from(["b", "large"])),
        "kind": conditions(st.sampled_from([kind.value for kind in Kind])),
        "tenant": conditions(st.sampled_from(["a", "b", "ab"])),
        "service": conditions(st.sampled_from(["a", "b"])),
        "environment": conditions(st.sampled_from(["a", "b"])),
    },
)


def _scalar(parameter: Parameter) -> st.SearchStrategy[Any]:
    least = int(parameter.least or 0)
    # Near their least, so that parameters seldom contradict each other.
    most = min(int(parameter.most or 50), least + 50)
    by_type = {
        Type.INT: st.integers(least, most),
        Type.NUMBER: st.floats(least, most, allow_nan=False),
        Type.FLAG: st.booleans(),
        Type.TEXT: st.text("abc é漢😀", min_size=1).map(str.strip).filter(bool),
        Type.DECIMAL: st.decimals(0, 10**9, places=0).map(lambda d: f"{Decimal(d):f}"),
        Type.SLUG: st.text("abc123", min_size=1, max_size=6),
        Type.PERIOD: st.sampled_from(["PT5M", "PT1H", "P1D", "P1W", "P1M"]),
        Type.ZONE: st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York"]),
        Type.CLOCK: st.sampled_from(["00:00"]),
        Type.TARGET: names.filter(lambda name: not name.endswith(":")),
    }
    return by_type[parameter.type]


def _value(parameter: Parameter) -> st.SearchStrategy[Any]:
    words = st.sampled_from([str(each) for each in parameter.choices] or ["-"])
    if parameter.type is Type.CHOICE:
        return words
    if parameter.type is Type.CHOICES:
        least = int(parameter.least or 0)
        return st.lists(words, min_size=least, max_size=4, unique=True)
    if parameter.type is Type.NUMBERS:
        shares = st.sampled_from([0.1, 0.5, 0.8, 0.95, 1])
        return st.lists(shares, unique=True).map(sorted)
    if parameter.type is Type.CHAIN:
        return st.lists(_object(parameter.parts), min_size=1, max_size=3)
    if parameter.type is Type.OBJECT:
        return _object(parameter.parts)
    return _scalar(parameter)


def _object(parts: tuple[Parameter, ...]) -> st.SearchStrategy[dict[str, Any]]:
    given = {each.name: _value(each) for each in parts}
    required = {each.name for each in parts if each.required}
    return st.fixed_dictionaries(
        {name: each for name, each in given.items() if name in required},
        optional={name: each for name, each in given.items() if name not in required},
    )


def rules(kind: str) -> st.SearchStrategy[Rule]:
    """Valid rules of a kind, with everything the table lets them have."""
    times = st.integers(0, 2**33).map(lambda quarters: time_text(quarters / 4))
    ends = {"expires_at": times}
    required = {"id": st.text("abcxyz", min_size=1, max_size=4)}
    optional = {
        "rev": st.integers(1, 99),
        "mode": st.sampled_from(["enforce", "shadow", "off"]),
        "tier": st.sampled_from(["override", "normal", "default"]),
        "priority": st.integers(-2, 2),
        "selector": selectors,
    }
    if kind == KillSwitch.KIND:
        common = st.fixed_dictionaries(required | ends, optional=optional)
    else:
        common = st.fixed_dictionaries(required, optional=optional | ends)
    made = st.builds(lambda head, own: _read(kind, head | own), common, _own(kind))
    return made.filter(lambda rule: rule is not None)


def _own(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    own = _object(parameters(kind))
    return own.filter(bool) if kind == RunBudget.KIND else own


def _read(kind: str, fields: dict[str, Any]) -> Any:
    try:
        return read_rule({"kind": kind} | fields, strict=True)
    except PolicyError:
        return None  # the table cannot say which values contradict each other


any_rule = st.sampled_from(list(KINDS)).flatmap(rules)
