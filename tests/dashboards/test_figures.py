"""Figures are Plotly figures in both themes, and say what is known and no more."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from dashboards.figures import OUTCOMES, latency, outcomes, resolve, template

CSS = (Path(__file__).parents[2] / "static/css/tokens.css").read_text()
TIMES = [1_700_000_000 + 60 * n for n in range(4)]
COUNTS = {name: [60, 0, None, 30] for name in OUTCOMES}
LINES = {
    "p50": [400.0, None, 410.0, 420.0],
    "p95": [1600.0, None, 1700.0, 1750.0],
    "p99": [4000.0, None, 4100.0, 4200.0],
}


def blocks() -> list[str]:
    return re.findall(r"\{([^{}]*--page:[^{}]*)\}", CSS)


def tokens(block: str) -> dict[str, str]:
    shared = "".join(re.findall(r":root \{([^{}]*--sans:[^{}]*)\}", CSS))
    return dict(re.findall(r"--([\w-]+):\s*([^;]+);", block + shared))


THEMES = {
    "light": tokens(blocks()[0]),
    "dark": tokens(blocks()[1]),
}


def test_both_ways_to_the_dark_theme_look_the_same():
    _, by_system, by_choice = blocks()

    assert re.sub(r"\s+", " ", by_system) == re.sub(r"\s+", " ", by_choice)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("filling", [True, False])
def test_plotly_accepts_the_figures(theme, filling):
    go = pytest.importorskip("plotly.graph_objects")
    templates = pytest.importorskip("plotly.io").templates
    templates["switchgear"] = go.layout.Template(resolve(template(), THEMES[theme]))

    for figure in (
        outcomes(TIMES, COUNTS, step_s=60, filling=filling),
        latency(TIMES, LINES, step_s=60, filling=filling),
    ):
        made = go.Figure(resolve(figure, THEMES[theme]))
        made.update_layout(template="switchgear")
        assert "var(" not in made.to_json()


def test_failures_lie_on_the_baseline_and_ok_on_top():
    names = [
        bar["name"] for bar in outcomes(TIMES, COUNTS, step_s=60, filling=True)["data"]
    ]

    assert names[0] == "failed"
    assert names[-1] == "ok"


def test_bars_are_calls_per_second_and_the_last_is_pale_while_it_fills():
    filling = outcomes(TIMES, COUNTS, step_s=60, filling=True)["data"][0]
    done = outcomes(TIMES, COUNTS, step_s=60, filling=False)["data"][0]

    assert filling["y"] == [1.0, 0.0, 0.0, 0.5]
    assert filling["marker"]["opacity"] == [1.0, 1.0, 1.0, 0.4]
    assert done["marker"]["opacity"] == [1.0] * 4


def test_refused_is_hatched_because_nothing_ran():
    bars = outcomes(TIMES, COUNTS, step_s=60, filling=True)["data"]

    assert [bar["name"] for bar in bars if "pattern" in bar["marker"]] == ["refused"]


def test_percentiles_of_no_calls_are_a_gap():
    p50 = latency(TIMES, LINES, step_s=60, filling=False)["data"][0]

    assert p50["y"] == [0.4, None, 0.41, 0.42]


def test_a_value_between_gaps_is_drawn_as_a_dot():
    p50 = latency(TIMES, LINES, step_s=60, filling=True)["data"][0]

    assert p50["y"] == [0.4, None, 0.41, None]
    assert p50["marker"]["size"] == [4, 0, 4, 0]


def test_the_piece_that_fills_is_dashed():
    figure = latency(TIMES, LINES, step_s=60, filling=True)

    tails = figure["data"][3:]
    assert [tail["y"] for tail in tails] == [[0.41, 0.42], [1.7, 1.75], [4.1, 4.2]]
    assert {tail["line"]["dash"] for tail in tails} == {"2px,2px"}
    assert [tail["marker"]["size"] for tail in tails] == [[0, 0]] * 3


def test_a_first_value_that_still_fills_is_drawn_as_a_dot():
    first = {name: [None, None, None, 400.0] for name in LINES}

    tails = latency(TIMES, first, step_s=60, filling=True)["data"][3:]

    assert [tail["marker"]["size"] for tail in tails] == [[0, 4]] * 3


def test_short_latencies_are_written_in_milliseconds():
    quick = {name: [n / 100 if n else n for n in line] for name, line in LINES.items()}

    assert (
        latency(TIMES, quick, step_s=60, filling=True)["layout"]["yaxis"]["ticksuffix"]
        == " ms"
    )


def test_names_at_the_ends_of_lines_do_not_overlap():
    close = {"p50": [100.0], "p95": [101.0], "p99": [102.0]}

    notes = latency(TIMES[:1], close, step_s=60, filling=False)["layout"]["annotations"]

    heights = [note["y"] for note in notes]
    assert [note["text"] for note in notes] == ["p50", "p95", "p99"]
    assert all(b - a > 5 for a, b in pairwise(heights))


def test_nothing_known_is_an_empty_figure():
    nothing = {"p50": [], "p95": [], "p99": []}

    figure = latency([], nothing, step_s=60, filling=True)

    assert figure["layout"]["annotations"] == []
    assert "range" not in figure["layout"]["xaxis"]
    bars = outcomes([], {name: [] for name in OUTCOMES}, step_s=60, filling=True)
    assert bars["data"][0]["y"] == []


def test_days_are_named_when_there_are_several():
    week = [1_700_000_000 + 3600 * n for n in range(7 * 24)]
    counts = {name: [1] * len(week) for name in OUTCOMES}

    axis = outcomes(week, counts, step_s=3600, filling=True)["layout"]["xaxis"]

    assert axis["tickformat"] == "%d %b"
