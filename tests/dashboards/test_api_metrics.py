"""The metrics query over HTTP: a document, the same as an address, and as a table."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tests.dashboards.conftest import reader_of

URL = "/api/v1/metrics/query"


def post(reader, **asked):
    return reader.post(URL, json.dumps(asked), content_type="application/json")


def by_label(answer, dimension):
    assert answer.status_code == 200, answer.content
    return {
        series["labels"][dimension]: series["totals"]
        for series in answer.json()["series"]
    }


def test_a_query_has_the_promised_shape(telemetry, reader):
    answer = post(reader, metrics=["calls", "error_rate"], group_by=["tool"]).json()

    assert set(answer) == {"meta", "timestamps", "series"}
    assert set(answer["meta"]) == {
        "from",
        "to",
        "step_s",
        "tz",
        "complete_until",
        "source",
        "series_total",
        "series_returned",
        "truncated",
        "warnings",
        "took_ms",
    }
    for series in answer["series"]:
        assert {"labels", "totals", "values"} <= set(series)
        assert len(series["values"]["calls"]) == len(answer["timestamps"])


def test_what_was_stored_is_counted_at_once(telemetry, reader):
    tools = by_label(
        post(reader, metrics=["calls", "errors"], group_by=["tool"]), "tool"
    )

    assert tools == {
        "search.web": {"calls": 2, "errors": 0},
        "pay": {"calls": 1, "errors": 1},
    }


def test_get_asks_the_same_with_the_same_names(telemetry, reader):
    posted = post(
        reader,
        **{"from": "now-1h"},
        to="now",
        step=60,
        metrics=["calls", "errors"],
        group_by=["tool"],
        filters=[{"field": "tenant", "op": "in", "value": ["acme", "globex"]}],
        order_by=[{"metric": "errors", "dir": "desc"}],
        limit=1,
        other=True,
    )
    got = reader.get(
        f"{URL}?from=now-1h&to=now&step=60&metrics=calls,errors&group_by=tool"
        "&filters=tenant:in:acme,globex&order_by=errors:desc&limit=1&other=true"
    )

    assert got.status_code == 200, got.content
    assert got.json()["series"] == posted.json()["series"]
    assert got.json()["meta"]["step_s"] == 60


def test_lists_in_an_address_may_be_repeated(telemetry, reader):
    got = reader.get(f"{URL}?metrics=calls&metrics=errors&group_by=tenant,tool")

    series = got.json()["series"][0]
    assert set(series["totals"]) == {"calls", "errors"}
    assert set(series["labels"]) == {"tenant", "tool"}


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({}, "/metrics"),
        ({"metrics": ["nonsense"]}, "/metrics/0"),
        ({"metrics": ["calls"], "group_by": ["colour"]}, "/group_by/0"),
        ({"metrics": ["calls"], "limit": -1}, "/limit"),
        ({"metrics": ["calls"], "colour": 1}, "/colour"),
    ],
)
def test_a_query_that_means_nothing_names_the_place(project, reader, asked, pointer):
    answer = post(reader, **asked)

    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?metrics=nonsense",
        "?metrics=calls&filters=tenant",
        "?metrics=calls&filters=tenant:near:acme",
        "?metrics=calls&order_by=calls:sideways",
        "?metrics=calls&limit=many",
        "?metrics=calls&other=perhaps",
        "?metrics=calls&step=x",
        "?metrics=calls&from=never",
        "?metrics=calls&compare=yesterday",
        "?metrics=calls&format=csv",
        "?metrics=%00",
    ],
)
def test_an_address_that_means_nothing_is_refused(project, reader, query):
    answer = reader.get(f"{URL}{query}")

    assert answer.status_code == 400, answer.content
    assert answer.json()["errors"]


def test_failure_classes_stand_only_beside_what_they_explain(project, reader):
    answer = post(reader, metrics=["cost_usd"], group_by=["failure_class"])

    assert answer.status_code == 400
    assert answer.json()["code"] == "dimension_not_allowed"


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b'"calls"'])
def test_a_query_is_an_object(project, reader, body):
    answer = reader.post(URL, body, content_type="application/json")

    assert answer.status_code == 400


def test_the_same_as_a_table(telemetry, reader):
    asked = f"{URL}?from=now-1h&metrics=calls,errors&group_by=tool&step=60"

    answer = reader.get(asked, headers={"Accept": "text/csv"})

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    table = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert list(table[0]) == ["time", "tool", "calls", "errors"]
    assert sum(int(row["calls"]) for row in table if row["tool"] == "search.web") == 2


def test_a_problem_is_json_even_when_a_table_was_asked_for(project, reader):
    answer = reader.get(f"{URL}?metrics=no", headers={"Accept": "text/csv"})

    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == 400


def test_the_catalogue_describes_metrics_and_dimensions(project, reader):
    catalog = reader.get("/api/v1/metrics/catalog").json()

    assert {"metrics", "dimensions"} <= set(catalog)
    assert "latency_ms.p95" in json.dumps(catalog)


def test_a_key_bound_to_a_tenant_counts_that_tenant_alone(telemetry):
    bound = reader_of(telemetry, tenant="globex")

    assert by_label(post(bound, metrics=["calls"], group_by=["tenant"]), "tenant") == {
        "globex": {"calls": 1}
    }
    stranger = [{"field": "tenant", "op": "in", "value": ["acme"]}]
    answer = post(bound, metrics=["calls"], group_by=["tenant"], filters=stranger)
    assert by_label(answer, "tenant") == {}
    assert post(bound, metrics=["calls"], filters="all").status_code == 400
