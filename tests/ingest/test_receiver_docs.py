"""docs/ingest.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ingest import content, masking, receiver
from ingest.otlp import answers, limits

TEXT = (Path(__file__).parents[2] / "docs" / "ingest.md").read_text("utf-8")


def section(title):
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_every_limit_is_documented_with_its_value():
    told = dict(
        re.findall(r"^\| `([A-Z_]+)` \| (\d+) \|", section("Limits"), re.MULTILINE)
    )

    limiting = {**vars(limits), "MAX_VALUE_BYTES": content.MAX_VALUE_BYTES}
    assert told == {
        name: f"{value:.0f}"
        for name, value in limiting.items()
        if name.isupper() and not name.startswith("_") and name != "ENCODINGS"
    }


def test_every_masked_shape_is_documented():
    changed = section("What is changed before it is stored")
    told = re.findall(r"^\| `([a-z_]+)` \|", changed, re.MULTILINE)

    assert told == list(dict.fromkeys(shape.name for shape in masking.SHAPES))


@pytest.mark.parametrize("path", receiver.PATHS)
def test_every_path_is_documented(path):
    assert f"`POST {path}`" in section("What is accepted")


def test_every_status_is_documented():
    told = re.findall(r"^\| ([\d, ]+) \|", section("Answers"), re.MULTILINE)
    statuses = {int(status) for cell in told for status in cell.split(",")}

    assert statuses == {200, *answers._CODES}


@pytest.mark.parametrize(
    "attribute", [content.MASKED, content.REPAIRED, content.TRUNCATED]
)
def test_every_attribute_we_add_is_documented(attribute):
    assert f"`{attribute}`" in section("What is changed before it is stored")
