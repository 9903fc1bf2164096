"""What is stored is what is read: calls, traces, and the names of a project."""

from __future__ import annotations

import pytest

from dashboards.api.fields import cursor
from ingest.queries import calls as call_queries
from ingest.queries import inventory
from tests.dashboards import stored
from tests.dashboards.conftest import ACME_TRACE, GLOBEX_TRACE, reader_of
from tests.dashboards.stored import agent, export, model

CALL = {
    "id",
    "trace_id",
    "kind",
    "target",
    "service",
    "environment",
    "tenant",
    "agent",
    "session",
    "user",
    "outcome",
    "failure_class",
    "refusal_reason",
    "attempts",
    "started_at",
    "ended_at",
    "latency_ms",
    "work_ms",
    "backoff_ms",
    "tokens",
    "cost_usd",
    "policy_version",
    "rule",
}


def read(reader, path, **parameters):
    answer = reader.get(f"/api/v1/{path}", parameters)
    assert answer.status_code == 200, answer.content
    return answer.json()


def targets(found):
    return [item["target"] for item in found["items"]]


def test_calls_come_newest_first_with_exactly_the_promised_fields(telemetry, reader):
    found = read(reader, "calls")

    assert targets(found) == ["search.web", "pay", "search.web", "gpt-4o-mini"]
    assert found["next"] is None
    assert all(set(item) == CALL for item in found["items"])


def test_a_call_says_what_happened(telemetry, reader):
    paid = read(reader, "calls", target="pay")["items"][0]

    assert paid["kind"] == "tool"
    assert paid["outcome"] == "failed"
    assert paid["failure_class"] == "timeout"
    assert paid["latency_ms"] == 900
    assert (paid["tenant"], paid["session"], paid["user"]) == ("acme", "s-1", "ann")
    assert paid["agent"] == "support"
    assert paid["tokens"] is None
    assert paid["cost_usd"] is None
    assert paid["started_at"] < paid["ended_at"]


def test_a_model_call_has_tokens_and_cost(telemetry, reader):
    asked = read(reader, "calls", kind="model")["items"][0]

    assert asked["tokens"]["input"] == 1000
    assert asked["tokens"]["output"] == 100
    assert asked["tokens"]["reasoning"] is None
    assert asked["cost_usd"] == pytest.approx(0.00021)


# One table and one test: storing telemetry for each line would take minutes.
FILTERS = [
    ({"outcome": "failed"}, ["pay"]),
    ({"outcome": "failed,refused"}, ["pay"]),
    ({"outcome": ["failed", "cancelled"]}, ["pay"]),
    ({"failure_class": "timeout"}, ["pay"]),
    ({"failure_class": "auth"}, []),
    ({"refusal_reason": "quota"}, []),
    ({"tenant": "globex"}, ["search.web"]),
    ({"tenant": "globex,acme", "target": "pay"}, ["pay"]),
    ({"tenant": "nobody"}, []),
    ({"kind": "model"}, ["gpt-4o-mini"]),
    ({"target": "pay"}, ["pay"]),
    ({"service": "crawler"}, ["search.web"]),
    ({"environment": "default", "kind": "model"}, ["gpt-4o-mini"]),
    ({"environment": "production"}, []),
    ({"agent": "support", "target": "pay"}, ["pay"]),
    ({"provider": "openai"}, ["gpt-4o-mini"]),
    ({"session": "s-2"}, ["search.web"]),
    ({"user": "ann", "kind": "model"}, ["gpt-4o-mini"]),
    ({"min_latency_ms": "800"}, ["pay"]),
    ({"text": "declined BY"}, ["pay"]),
    ({"text": "100%"}, []),
    ({"from": "now-10s"}, []),
    ({"to": "now-1h", "from": "now-2h"}, []),
]


def test_every_filter_narrows_the_search(telemetry, reader):
    for filters, wanted in FILTERS:
        found = targets(read(reader, "calls", **filters))

        assert found == wanted, filters


def test_pages_follow_each_other_without_gap_or_repeat(telemetry, reader):
    whole = read(reader, "calls")["items"]

    first = read(reader, "calls", limit=3)
    second = read(reader, "calls", limit=3, next=first["next"])

    assert first["items"] + second["items"] == whole
    assert second["next"] is None


def test_a_search_looks_at_a_bounded_number_of_calls(telemetry, reader, monkeypatch):
    monkeypatch.setattr(call_queries, "SCAN", 2)

    found, pages, following = [], 0, ""
    while following is not None:
        page = read(
            reader, "calls", kind="model", **{"next": following} if pages else {}
        )
        found += page["items"]
        following = page["next"]
        pages += 1

    assert [call["target"] for call in found] == ["gpt-4o-mini"]
    assert pages == 2


def test_one_provider_answer_seen_twice_is_one_call(telemetry, reader, start_ns):
    twin = export(
        bytes.fromhex("0d" * 16),
        model("gpt-4o-mini", 2, parent=0, response="r-1", tokens=(1000, 100)),
        start_ns=start_ns,
    )
    stored.store(telemetry, twin)

    asked = read(reader, "calls", kind="model")["items"]
    lonely = read(reader, "traces/" + "0d" * 16)["calls"]

    assert [call["trace_id"] for call in asked] == [ACME_TRACE.hex()]
    assert [call["counts"] for call in lonely] == [False]


def test_the_call_that_counts_shows_what_all_its_twins_know(
    telemetry, reader, start_ns
):
    fuller = model("gpt-4o-mini", 2, parent=0, response="r-1", tokens=(1000, 100))
    fuller["attributes"]["gen_ai.usage.cache_read.input_tokens"] = 800
    stored.store(telemetry, export(bytes.fromhex("0d" * 16), fuller, start_ns=start_ns))

    asked = read(reader, "calls", kind="model")["items"]

    assert [call["tokens"]["cache_read"] for call in asked] == [800]


def test_a_call_is_found_by_its_id_and_told_in_full(telemetry, reader):
    listed = read(reader, "calls", target="pay")["items"][0]

    found = read(reader, f"calls/{listed['id']}")

    assert {name: found[name] for name in CALL} == listed
    assert found["message"] == "Card DECLINED by bank"
    assert found["attempt_errors"] == {"timeout": 1}
    assert found["span_id"] == stored.span_id(4).hex()
    assert found["counts"] is True


NOWHERE = [
    f"calls/{'0e' * 16}-{'00' * 8}",
    f"calls/{ACME_TRACE.hex()}-{'00' * 8}",
    "calls/17",
    f"traces/{'0e' * 16}",
    "traces/xyz",
]


def test_what_is_not_there_is_not_found(telemetry, reader):
    for path in NOWHERE:
        answer = reader.get(f"/api/v1/{path}")

        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"


def test_a_trace_shows_its_spans_as_sent_and_the_calls_made_of_them(telemetry, reader):
    trace = read(reader, f"traces/{ACME_TRACE.hex()}")

    assert (trace["spans_shown"], trace["spans_total"]) == (4, 4)
    assert [call["target"] for call in trace["calls"]] == [
        "gpt-4o-mini",
        "search.web",
        "pay",
    ]
    root, failed = trace["spans"][0], trace["spans"][3]
    assert root["parent_id"] is None
    assert root["category"] == "agent"
    assert root["resource"]["service.instance.id"] == "shop-1"
    assert failed["name"] == "execute_tool pay"
    assert failed["parent_id"] == root["span_id"]
    assert failed["status"] == "error"
    assert failed["duration_ms"] == 900
    assert failed["attributes"]["gen_ai.tool.name"] == "pay"
    assert failed["events"][0]["name"] == "exception"
    assert failed["scope"] == "tests"


def test_a_large_trace_is_shown_in_pages(telemetry, reader):
    path = f"traces/{ACME_TRACE.hex()}"

    first = read(reader, path, limit=3)
    second = read(reader, path, limit=3, next=first["next"])

    assert (first["spans_shown"], first["spans_total"]) == (3, 4)
    assert (second["spans_shown"], second["next"]) == (1, None)
    shown = {span["span_id"] for span in first["spans"] + second["spans"]}
    assert len(shown) == 4


def test_a_cursor_that_names_no_span_is_refused(telemetry, reader):
    path = f"/api/v1/traces/{ACME_TRACE.hex()}"

    answer = reader.get(path, {"next": cursor(("no span",))})

    assert answer.json()["code"] == "invalid_cursor"


def test_targets_come_by_name_with_their_figures(telemetry, reader):
    found = read(reader, "targets")

    assert [(item["kind"], item["target"]) for item in found["items"]] == [
        ("model", "gpt-4o-mini"),
        ("tool", "pay"),
        ("tool", "search.web"),
    ]
    asked, paid, searched = found["items"]
    assert asked["providers"] == ["openai"]
    assert asked["cost_usd"] == pytest.approx(0.00021)
    assert (paid["calls"], paid["errors"], paid["error_rate"]) == (1, 1, 1.0)
    assert searched["calls"] == 2
    assert searched["services"] == ["crawler", "shop"]


def test_targets_of_a_kind_in_pages(telemetry, reader):
    first = read(reader, "targets", kind="tool", limit=1)
    second = read(reader, "targets", kind="tool", limit=1, next=first["next"])

    assert targets(first) + targets(second) == ["pay", "search.web"]
    assert second["next"] is None


def test_a_target_without_calls_in_the_range_has_zeros_and_no_rates(telemetry, reader):
    paid = read(reader, "targets", kind="tool", **{"from": "now-10s"})["items"][0]

    assert (paid["calls"], paid["errors"], paid["error_rate"]) == (0, 0, None)


def test_services_say_how_well_their_retries_can_be_seen(telemetry, reader):
    crawler, shop = read(reader, "services")["items"]

    assert (crawler["service"], shop["service"]) == ("crawler", "shop")
    assert shop["calls"] == 3
    assert sum(shop["retry_coverage"].values()) == 3
    assert sum(crawler["retry_coverage"].values()) == 1


def test_names_come_in_pages(telemetry, reader):
    first = read(reader, "services", limit=1)
    second = read(reader, "services", limit=1, next=first["next"])

    assert [item["service"] for item in first["items"] + second["items"]] == [
        "crawler",
        "shop",
    ]


def test_tenants_have_figures_of_their_own(telemetry, reader):
    acme, globex = read(reader, "tenants")["items"]

    assert (acme["tenant"], acme["calls"], acme["errors"]) == ("acme", 3, 1)
    assert (globex["tenant"], globex["calls"], globex["errors"]) == ("globex", 1, 0)


def test_sessions_come_by_their_latest_call(telemetry, reader):
    latest, earlier = read(reader, "sessions")["items"]

    assert (latest["session"], latest["calls"], latest["tenant"]) == (
        "s-2",
        1,
        "globex",
    )
    assert (earlier["session"], earlier["calls"], earlier["errors"]) == ("s-1", 3, 1)
    assert earlier["user"] == "ann"
    assert earlier["first_at"] < earlier["last_at"]


@pytest.mark.parametrize("scan", [1, 2, 50_000])
def test_sessions_in_pages_lose_no_call(telemetry, reader, monkeypatch, scan):
    monkeypatch.setattr(inventory, "SESSION_SCAN", scan)

    counted, following, pages = {}, None, 0
    while following or not pages:
        page = read(reader, "sessions", limit=1, **{"next": following} if pages else {})
        for item in page["items"]:
            counted[item["session"]] = counted.get(item["session"], 0) + item["calls"]
        following = page["next"]
        pages += 1

    assert counted == {"s-1": 3, "s-2": 1}


def test_instances_are_who_sent_the_newest_calls(telemetry, reader):
    crawler, shop = read(reader, "instances")["items"]

    assert (crawler["service"], crawler["instance"]) == ("crawler", "crawler-1")
    assert (shop["service"], shop["instance"], shop["spans"]) == ("shop", "shop-1", 4)
    assert shop["sdk"]["language"] == "python"


def test_instances_in_pages(telemetry, reader):
    first = read(reader, "instances", limit=1)
    second = read(reader, "instances", limit=1, next=first["next"])

    assert [item["instance"] for item in first["items"] + second["items"]] == [
        "crawler-1",
        "shop-1",
    ]


def test_a_key_bound_to_a_tenant_sees_that_tenant_alone(telemetry):
    reader = reader_of(telemetry, tenant="globex")

    assert targets(read(reader, "calls")) == ["search.web"]
    assert targets(read(reader, "targets")) == ["search.web"]
    assert [item["tenant"] for item in read(reader, "tenants")["items"]] == ["globex"]
    assert [item["session"] for item in read(reader, "sessions")["items"]] == ["s-2"]
    assert [item["service"] for item in read(reader, "services")["items"]] == [
        "crawler"
    ]
    assert read(reader, f"traces/{GLOBEX_TRACE.hex()}")["spans_total"] == 2
    assert reader.get(f"/api/v1/traces/{ACME_TRACE.hex()}").status_code == 404
    assert reader.get("/api/v1/calls?tenant=acme").status_code == 403
    assert reader.get("/api/v1/instances").status_code == 403


QUERIES = {
    "calls": 3,
    "calls?tenant=acme&outcome=failed": 3,
    f"traces/{ACME_TRACE.hex()}": 7,
    "sessions": 2,
    "instances": 2,
}


def test_an_answer_costs_a_fixed_number_of_queries(
    telemetry, reader, django_assert_max_num_queries
):
    reader.get("/api/v1/calls")  # the key is remembered from here on

    for path, queries in QUERIES.items():
        with django_assert_max_num_queries(queries, using="telemetry"):
            answer = reader.get(f"/api/v1/{path}")

        assert answer.status_code == 200


def test_deep_values_are_cut_off_and_odd_ones_are_words(telemetry, reader, start_ns):
    deep = "bottom"
    for _ in range(30):
        deep = [deep]
    odd = agent(deep=deep, ratio=float("inf"), raw=b"\x01\xff", map={"a": 1})
    stored.store(telemetry, export(bytes.fromhex("0f" * 16), odd, start_ns=start_ns))

    shown = read(reader, "traces/" + "0f" * 16)["spans"][0]["attributes"]

    assert "(nested too deeply)" in str(shown["deep"])
    assert (shown["ratio"], shown["raw"], shown["map"]) == ("inf", "01ff", {"a": 1})
