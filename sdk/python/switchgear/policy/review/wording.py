"""Rules and their values in the words of people, for lists, diffs and reasons."""

from __future__ import annotations

from typing import Any

from switchgear.policy.rules.parameters import Parameter, Type
from switchgear.policy.rules.selectors import Comparison, Condition, Selector


def kind_words(kind: str) -> str:
    return kind.replace("_", " ")


_SPOKEN = {"selector": "applies to", "expires_at": "ends at", "on": "after"}


def parameter_words(name: str) -> str:
    """`max_wait_ms` as people say it; the unit stands with the value."""
    if name in _SPOKEN:
        return _SPOKEN[name]
    for unit in ("_ms", "_s", "_percent", "_usd"):
        name = name.removesuffix(unit)
    return name.replace("_", " ")


def listed(values: list[str] | tuple[str, ...], last: str = "or") -> str:
    """`a`, `a or b`, `a, b or c`."""
    *most, final = values
    return f"{', '.join(most)} {last} {final}" if most else final


def condition_words(condition: Condition) -> str:
    words = listed(condition.values)
    return f"not {words}" if condition.comparison is Comparison.NOT else words


def selector_words(selector: Selector) -> str:
    """`tenant acme, model large-1`; empty when it selects every call."""
    return ", ".join(
        f"{name} {condition_words(condition)}"
        for name, condition in selector.conditions
    )


def value_words(value: Any, parameter: Parameter) -> str:
    """A value as it stands in a document, with its unit."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if parameter.type is Type.CHAIN:
        return ", then ".join(_hop_words(each, parameter.parts) for each in value)
    if parameter.type is Type.OBJECT:
        return _parts_words(value, parameter.parts)
    if isinstance(value, list):
        return ", ".join(value_words(each, parameter) for each in value) or "none"
    return f"{value} {parameter.unit}".rstrip()


def _parts_words(value: dict[str, Any], parts: tuple[Parameter, ...]) -> str:
    given = (each for each in parts if each.name in value)
    return ", ".join(
        f"{parameter_words(each.name)} {value_words(value[each.name], each)}"
        for each in given
    )


def _hop_words(value: dict[str, Any], parts: tuple[Parameter, ...]) -> str:
    more = _parts_words(value, tuple(each for each in parts if each.name != "target"))
    return f"{value['target']} ({more})" if more else str(value["target"])
