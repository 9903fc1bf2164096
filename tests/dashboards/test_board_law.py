"""Law 7 on the real thing: stored spans, the real panels, the real socket."""

from __future__ import annotations

import json
import time

import pytest
from channels.db import database_sync_to_async
from django.utils import timezone

from controlplane.models import Membership, Role
from dashboards import consumers, panels, streams
from dashboards.address import View
from ingest import live as announcements
from tests.dashboards.stored import MS, SECOND, agent, export, model, store, tool
from tests.dashboards.test_board_socket import Viewer, run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def member(project, user):
    Membership.objects.create(project=project, user=user, role=Role.VIEWER)
    return user


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(streams, "EVERY_S", 0.01)
    monkeypatch.setattr(streams, "REFRESHES_PER_STEP", 10**6)
    monkeypatch.setattr(announcements, "EVERY_S", 0.01)
    monkeypatch.setattr(consumers, "CHECK_EVERY_S", 0.5)


def some_trace(number, *, tenant="acme", ago_s=60):
    begin = time.time_ns() - ago_s * SECOND
    return export(
        number.to_bytes(16, "big"),
        agent(1, tenant__id=tenant),
        tool(f"search.{number % 3}", 2, at_ms=10),
        tool("fetch", 3, at_ms=50, took_ms=900, message="upstream said 503"),
        model("gpt-4o-mini", 4, at_ms=1000, tokens=(1200, 80)),
        start_ns=begin,
    )


@pytest.mark.parametrize("query", ["", "range=15m", "tab=tenants&tenant=acme"])
def test_messages_lead_to_what_a_new_fetch_gives(member, project, quick, query):
    old, new = Viewer(member, project), Viewer(member, project)
    put = database_sync_to_async(store)

    async def story():
        await old.connect(query)
        await old.hear()
        for number in range(1, 5):
            await put(project, some_trace(number, ago_s=30 * number))
            announcements.announce([project.pk])
            await old.hear()

        await new.connect(query)
        await new.hear()
        while old.seq < new.seq:
            await old.hear()
        while new.seq < old.seq:
            await new.hear()
        assert json.dumps(old.state, sort_keys=True) == (
            json.dumps(new.state, sort_keys=True)
        )
        assert old.state["empty"] is None
        await old.leave()
        await new.leave()

    run(story)


def shown(project, **chosen):
    return panels.live(project.pk, View(**chosen), now=timezone.now().timestamp())


def test_the_board_shows_what_was_sent(project):
    for number in range(1, 4):
        store(project, some_trace(number))

    state = shown(project)

    assert state["outcomes"]["ok"] == "6"
    assert state["outcomes"]["failed"] == "3"
    assert state["kpis"]["success"]["value"] == "66.7"
    assert set(state["board"]["rows"]) == {
        "=fetch",
        "=search.0",
        "=search.1",
        "=search.2",
    }
    assert state["board"]["order"][0] == "=fetch"
    assert state["board"]["rows"]["=fetch"]["errors"] == "100.0\u00a0%"
    assert sum(state["figures"]["outcomes"]["data"][-1]["customdata"]) == 6
    assert shown(project, tab="models")["board"]["order"] == ["=gpt-4o-mini"]
    assert shown(project, tab="tenants")["board"]["order"] == ["=acme"]


def test_growth_is_told_when_the_period_before_was_seen_whole(project):
    for ago_s in (60, 90, 4000):
        store(project, some_trace(ago_s, ago_s=ago_s))
    assert shown(project)["kpis"]["calls"]["foot"] == "6\u00a0calls"

    store(project, some_trace(5, ago_s=3 * 3600))

    assert shown(project)["kpis"]["calls"]["foot"] == ("+100\u00a0% on the hour before")


def test_calls_are_arriving_until_their_root_says_whose_they_are(project):
    begin = time.time_ns() - 5 * SECOND
    child = tool("search", 2)
    store(project, export(b"\7" * 16, child, start_ns=begin))
    assert shown(project, tab="tenants")["board"]["rows"]["none"]["name"] == (
        "(arriving)"
    )

    store(project, export(b"\7" * 16, agent(1, tenant__id="acme"), start_ns=begin))

    assert shown(project, tab="tenants")["board"]["order"] == ["=acme"]


def test_a_call_that_has_not_ended_is_in_flight(project):
    request = some_trace(1)
    for span in request.resource_spans[0].scope_spans[0].spans:
        if span.name == "execute_tool search.1":
            span.end_time_unix_nano = 0
    store(project, request)

    assert shown(project)["meta"]["in_flight"] == 1
    assert shown(project, tenant=("acme",))["meta"]["in_flight"] is None


def test_an_empty_board_says_which_of_four_reasons_holds(project):
    assert shown(project)["empty"] == {"case": "no-spans"}

    store(project, export(b"\1" * 16, agent(1), start_ns=time.time_ns() - SECOND))
    assert shown(project)["empty"] == {"case": "none-recognised"}

    begin = time.time_ns() - 2 * 3600 * SECOND
    one = tool("search", 2, took_ms=500)
    store(project, export(b"\2" * 16, one, start_ns=begin))
    last = (begin + 500 * MS) // SECOND
    assert shown(project)["empty"] == {"case": "outside", "last": last}
    assert shown(project, tenant=("x",))["empty"] == {"case": "outside", "last": last}

    store(project, some_trace(3))
    assert shown(project, tenant=("x",))["empty"] == {"case": "filtered", "calls": 3}
    assert shown(project)["empty"] is None


def test_nothing_of_another_project_is_shown(project):
    store(project, some_trace(1))

    elsewhere = panels.live(project.pk + 1000, View(), now=timezone.now().timestamp())

    assert elsewhere["empty"] == {"case": "no-spans"}


def test_choices_are_who_made_calls_most_first(project):
    store(project, some_trace(1, tenant="small"))
    for number in (2, 3):
        store(project, some_trace(number, tenant="big"))

    found = panels.choices(project.pk, View(), "tenant", now=timezone.now().timestamp())

    assert [item["value"] for item in found["items"]] == ["big", "small"]
    assert found["total"] == 2
