"""Policy versions are marked on charts where they were published."""

from __future__ import annotations

import pytest

from dashboards.figures import OUTCOMES, latency, outcomes, resolve, template
from dashboards.marks import Mark, marked
from tests.dashboards.test_figures import COUNTS, LINES, THEMES, TIMES


def version(number, at_s, *, who="ana", reason="search is down", environment="prod"):
    url = f"/policy/versions/{number}/?project=acme&env={environment}"
    return Mark(at_s, number, environment, who, reason, url)


def chart():
    return outcomes(TIMES, COUNTS, step_s=60, filling=True)


def labels(figure):
    return [note for note in figure["layout"]["annotations"] if "hovertext" in note]


def test_a_version_is_a_line_with_its_number_and_who_and_why():
    figure = marked(chart(), [version(42, TIMES[1] + 30)])

    (line,) = figure["layout"]["shapes"]
    assert line["x0"] == line["x1"] == (TIMES[1] + 30) * 1000
    (label,) = labels(figure)
    assert label["x"] == line["x0"]
    assert label["hovertext"] == "v42 by ana: search is down"
    assert label["text"] == (
        '<a href="/policy/versions/42/?project=acme&amp;env=prod"'
        ' target="_self">v42</a>'
    )


def test_versions_outside_the_time_shown_leave_the_figure_as_it_is():
    before, after = version(1, TIMES[0] - 3600), version(2, TIMES[-1] + 3600)

    assert marked(chart(), [before, after]) == chart()


def test_a_chart_without_times_has_no_place_for_marks():
    empty = latency([], {name: [] for name in LINES}, step_s=60, filling=True)

    assert marked(empty, [version(1, TIMES[0])]) == empty


def test_versions_close_to_each_other_share_a_label_that_names_each():
    close = [version(n, TIMES[1] + n, reason=f"reason {n}") for n in (1, 2)]

    figure = marked(chart(), close)

    assert len(figure["layout"]["shapes"]) == 2
    (label,) = labels(figure)
    assert ">v1, v2<" in label["text"]
    assert "versions/2/" in label["text"]
    assert label["hovertext"] == "v1 by ana: reason 1<br>v2 by ana: reason 2"


def test_many_versions_are_counted_and_the_last_ones_told():
    figure = marked(chart(), [version(n, TIMES[1] + n / 10) for n in range(1, 10)])

    (label,) = labels(figure)
    assert ">9 versions<" in label["text"]
    assert label["hovertext"].startswith("3 more, and<br>v4 by")


def test_versions_of_several_environments_say_whose_they_are():
    both = [version(7, TIMES[1]), version(3, TIMES[1], environment="staging")]

    (label,) = labels(marked(chart(), both))

    assert "staging v3 by ana" in label["hovertext"]
    assert "prod v7 by ana" in label["hovertext"]


def test_a_name_cannot_smuggle_tags_into_a_chart():
    evil = version(1, TIMES[1], who="<b>ana</b>", reason='<a href="x">')

    (label,) = labels(marked(chart(), [evil]))

    assert "<b>" not in label["hovertext"]
    assert "<a" not in label["hovertext"]


def test_labels_of_the_lines_themselves_are_kept():
    lines = latency(TIMES, LINES, step_s=60, filling=False)

    figure = marked(lines, [version(1, TIMES[1])])

    named = {note["text"] for note in figure["layout"]["annotations"]}
    assert {"p50", "p95", "p99"} < named


@pytest.mark.parametrize("theme", THEMES)
def test_plotly_accepts_marks(theme):
    go = pytest.importorskip("plotly.graph_objects")
    figure = marked(chart(), [version(1, TIMES[1]), version(2, TIMES[3])])

    made = go.Figure(resolve(figure, THEMES[theme]))

    made.update_layout(template=go.layout.Template(resolve(template(), THEMES[theme])))
    assert len(made.layout.shapes) == 2
    assert len(made.data) == len(OUTCOMES)
