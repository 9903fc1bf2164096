"""The manual page names every metric, dimension, error and limit there is."""

from __future__ import annotations

import re
from pathlib import Path

from dashboards.metrics import catalog, query
from dashboards.metrics.catalogue import DIMENSIONS, METRICS
from ingest.series import CAPS

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()


def names_in(text):
    return set(re.findall(r"`([a-z_]+(?:\.[a-z0-9_]+)?)`", text))


def part(heading):
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def first_cells(text):
    return set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))


def test_every_metric_has_its_place_and_none_is_invented():
    by_kind = {kind: set() for kind in ("count", "ratio", "distribution")}
    for metric in METRICS.values():
        by_kind[metric.kind].add(metric.name)

    assert first_cells(part("Counts")) == by_kind["count"]
    assert first_cells(part("Ratios")) == by_kind["ratio"]
    written = {name for name in names_in(part("Distributions")) if "_ms." in name}
    assert written == by_kind["distribution"]


def test_a_ratio_is_described_by_its_formula():
    for metric in METRICS.values():
        if metric.kind == "ratio":
            assert f"| `{metric.name}` | {metric.description} |" in PAGE


def test_every_dimension_is_described():
    assert first_cells(part("Dimensions")) == set(DIMENSIONS)


def test_every_error_code_is_listed():
    sources = Path(query.__file__).parent.glob("*.py")
    raised = {
        code
        for source in sources
        for code in re.findall(r'QueryError\(\s*"(\w+)"', source.read_text())
    }

    assert names_in(part("Errors")) - {"code", "pointer"} == raised


def test_limits_are_those_of_the_code():
    assert f"up to {query.MOST_SERIES} series" in PAGE
    for dimension, cap in CAPS.items():
        assert f"{cap:,} {dimension}" in PAGE


def test_the_catalogue_lists_what_can_be_asked():
    found = catalog()

    assert [one["name"] for one in found["metrics"]] == list(METRICS)
    assert [one["name"] for one in found["dimensions"]] == list(DIMENSIONS)
    by_name = {one["name"]: one for one in found["metrics"]}
    assert by_name["calls"]["fill"] == 0
    assert by_name["error_rate"]["fill"] is None
    assert "failure_class" in by_name["errors"]["dimensions"]
    assert "failure_class" not in by_name["retries"]["dimensions"]
