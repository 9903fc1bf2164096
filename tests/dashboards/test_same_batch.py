"""The same batch again and again: page, API and table go on saying what they said."""

from __future__ import annotations

import csv
import io
import json
import time

import pytest
from django.urls import reverse

from controlplane.models import Membership, Role
from tests.dashboards import stored
from tests.dashboards.conftest import reader_of
from tests.dashboards.stored import agent, export, model, tool

pytestmark = pytest.mark.django_db(transaction=True)

METRICS = ("calls", "ok", "errors", "attempts", "tokens.input", "cost_usd")


@pytest.fixture
def member(project, user, client):
    Membership.objects.create(project=project, user=user, role=Role.VIEWER)
    client.force_login(user)
    return client


@pytest.fixture
def batch():
    return export(
        b"a" * 16,
        agent(tenant__id="acme"),
        model("gpt-4o-mini", 2, response="r-1", tokens=(1000, 100)),
        tool("search.web", 3, at_ms=500),
        tool("pay", 4, at_ms=600, message="Card declined"),
        start_ns=time.time_ns() - 60 * stored.SECOND,
    )


def asked(reader, **headers):
    answer = reader.get(
        "/api/v1/metrics/query",
        {"metrics": ",".join(METRICS), "from": "now-1h", "group_by": "kind"},
        headers=headers,
    )
    assert answer.status_code == 200, answer.content
    return answer


def api_totals(reader):
    totals = dict.fromkeys(METRICS, 0)
    for series in asked(reader).json()["series"]:
        for name in METRICS:
            totals[name] += series["totals"][name] or 0
    return totals


def table_totals(reader):
    table = csv.DictReader(
        io.StringIO(asked(reader, Accept="text/csv").content.decode())
    )
    totals = dict.fromkeys(METRICS, 0)
    for row in table:
        for name in METRICS:
            totals[name] += float(row[name] or 0)
    return totals


def page_says(member, project):
    """The key figures, counts and rows of the page; not its trends, which are times."""
    answer = member.get(reverse("live-data"), {"project": project.slug})
    state = json.loads(answer.content)["state"]
    figures = {name: figure["value"] for name, figure in state["kpis"].items()}
    rows = {
        key: {name: value for name, value in row.items() if isinstance(value, str)}
        for key, row in state["board"]["rows"].items()
    }
    return {
        "figures": figures,
        "calls": state["kpis"]["calls"]["foot"],
        "outcomes": state["outcomes"],
        "rows": rows,
    }


def test_page_api_and_table_say_the_same_after_the_same_batch_three_times(
    project, member, batch
):
    reader = reader_of(project)
    stored.store(project, batch)
    once, page_once = api_totals(reader), page_says(member, project)

    for _ in range(2):
        stored.store(project, batch)

    assert (once["calls"], once["errors"], once["tokens.input"]) == (3, 1, 1000)
    assert page_once["calls"] == "3\u00a0calls"
    assert api_totals(reader) == pytest.approx(once)
    assert table_totals(reader) == pytest.approx(once)
    assert len(reader.get("/api/v1/calls").json()["items"]) == once["calls"]
    assert page_says(member, project) == page_once
