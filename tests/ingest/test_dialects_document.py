"""docs/attributes.md is the tables, in words: what is not there is not read."""

from __future__ import annotations

from pathlib import Path

from ingest.dialects import attributes, model_attributes
from ingest.dialects.attributes import Field
from ingest.dialects.categories import CATEGORIES, PRESENT
from ingest.dialects.facts import Facts

PAGE = Path(__file__).parents[2] / "docs" / "attributes.md"
GROUPS = {
    "Who called, for whom": attributes.WHO,
    "Our own client": attributes.POLICY + attributes.REFUSAL,
    "Tools": attributes.TOOL,
    "Models, embeddings and their containers": (
        model_attributes.MODEL + model_attributes.ANSWER
    ),
    "Attempts": attributes.ATTEMPTS,
    "Failures": attributes.FAILURE,
    "HTTP and RPC": attributes.NETWORK,
}


def row(name, keys):
    return f"| {name} | " + ", ".join(f"`{key}`" for key in keys) + " |"


def table(fields):
    rows = [row(field.name, field.keys) for field in fields]
    return "\n".join(
        ["| field | keys, the first usable one wins |", "|---|---|", *rows]
    )


def resource():
    return (
        Field("service", "word", attributes.SERVICE),
        Field("environment", "word", attributes.ENVIRONMENT),
        Field("tenant_resource", "word", attributes.RESOURCE_TENANT),
    )


def test_every_key_that_is_read_is_documented_in_order():
    page = PAGE.read_text()

    for heading, fields in {"Resources": resource(), **GROUPS}.items():
        assert f"## {heading}\n\n{table(fields)}\n" in page, table(fields)


def test_every_key_that_tells_a_category_is_documented_in_order():
    page = PAGE.read_text()

    assert row("by its value", CATEGORIES) in page, row("by its value", CATEGORIES)
    assert row("by being there", PRESENT) in page, row("by being there", PRESENT)


def test_every_field_that_is_read_is_a_fact_and_every_fact_is_read():
    read = {field.name for fields in GROUPS.values() for field in fields}

    assert read == set(Facts.__struct_fields__)


def test_no_key_is_written_twice_for_one_field():
    for fields in GROUPS.values():
        for field in fields:
            assert len(set(field.keys)) == len(field.keys), field.name


def test_a_field_is_read_in_one_way_only():
    readers = {}
    for fields in GROUPS.values():
        for field in fields:
            assert readers.setdefault(field.name, field) is field
