"""docs/rules.md says of every kind and parameter what the table says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from switchgear.policy.documents.reading import read_rule
from switchgear.policy.precedence import LIMITING, SHAPING
from switchgear.policy.review import Code
from switchgear.policy.rules import COMMON, KINDS, parameters
from switchgear.policy.rules.parameters import Parameter, Type
from switchgear.policy.rules.rule import SCOPE
from switchgear.policy.rules.selectors import FACTS
from switchgear.policy.vocabulary import FailureClass, RefusalReason

MANUAL = Path(__file__).parents[2] / "docs/rules.md"
HEAD = ["| field | holds | default | |", "|---|---|---|---|"]
WORDS = {
    Type.INT: "whole number",
    Type.NUMBER: "number",
    Type.FLAG: "true or false",
    Type.TEXT: "text",
    Type.CHOICE: "one word",
    Type.CHOICES: "list of words",
    Type.NUMBERS: "list of numbers, ascending",
    Type.DECIMAL: "number in quotes",
    Type.SLUG: "name of a rule",
    Type.TIME: "time in UTC",
    Type.PERIOD: "period",
    Type.ZONE: "time zone",
    Type.CLOCK: "time of day",
    Type.TARGET: "target",
    Type.SELECTOR: "selector",
    Type.OBJECT: "object",
    Type.CHAIN: "list of objects",
}


# Sets of words that are explained once.
SETS = {
    tuple(FailureClass): "list of failure classes",
    (*FailureClass, *RefusalReason): "list of failure classes and refusal reasons",
    SCOPE: "list of facts",
}


def holds(parameter: Parameter) -> str:
    words = SETS.get(parameter.choices, WORDS[parameter.type])
    if parameter.type in (Type.INT, Type.NUMBER, Type.NUMBERS):
        words += f", {parameter.least:,} to {parameter.most:,}"
    if parameter.type is Type.DECIMAL:
        words += ", 0 or more"
    return f"{words} {parameter.unit}".rstrip()


def default(parameter: Parameter) -> str:
    if parameter.required:
        return "required"
    if parameter.default is None:
        return "none"
    return f"`{json.dumps(parameter.default)}`"


def row(parameter: Parameter, name: str = "") -> str:
    shown = () if parameter.choices in SETS else parameter.choices
    told = f"{parameter.help} {listed(shown)}".rstrip()
    name = f"{name}{parameter.name}"
    return f"| `{name}` | {holds(parameter)} | {default(parameter)} | {told} |"


def listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{each}`" for each in words)


def table(known: tuple[Parameter, ...]) -> str:
    rows = []
    for each in known:
        rows.append(row(each))
        rows += [row(part, f"{each.name}.") for part in each.parts]
    return "\n".join([*HEAD, *rows])


@pytest.mark.parametrize("kind", KINDS)
def test_the_manual_lists_every_parameter_of_a_kind(kind):
    section = MANUAL.read_text().partition(f"\n### `{kind}`\n")[2].partition("\n###")[0]

    assert table(parameters(kind)) in section
    assert section.count("\n| `") == table(parameters(kind)).count("\n| `")
    assert " ".join((KINDS[kind].__doc__ or "-").split()) in " ".join(section.split())


def test_the_manual_lists_what_all_rules_have():
    assert table(COMMON) in MANUAL.read_text()


def test_the_manual_knows_no_kind_that_is_not_there():
    told = re.findall(r"^### `(\w+)`$", MANUAL.read_text(), re.MULTILINE)

    assert told == [kind.KIND for kind in (*SHAPING, *LIMITING)]
    assert set(told) == set(KINDS)


def test_the_manual_names_every_word_and_every_finding():
    text = MANUAL.read_text()

    spaced = " ".join(text.split())
    for words in (FACTS, FailureClass, RefusalReason, SCOPE):
        assert listed(words) in spaced
    found = text.partition("## Findings")[2]
    assert re.findall(r"^\* `(\w+)`", found, re.MULTILINE) == [str(c) for c in Code]


def test_every_example_of_the_manual_is_a_rule():
    blocks = re.findall(r"```json\n(.*?)```", MANUAL.read_text(), re.DOTALL)

    read = [read_rule(json.loads(block), strict=True) for block in blocks]

    assert len(read) >= 3
    assert len({each.KIND for each in read}) >= 3
