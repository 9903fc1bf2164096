"""Answers to metrics questions: exact, complete, and shaped as promised."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboards.metrics import parse, run, to_csv
from ingest.records import Usage
from ingest.stores import open_store
from tests.ingest.counting import (
    NOW,
    Writer,
    call,
    calls,
    exact_quantile,
    project_ids,
    reference,
)

pytestmark = pytest.mark.django_db(transaction=True)
same_database = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
HOUR = 3_600


@pytest.fixture
def store():
    opened = open_store()
    yield opened
    opened.close()


@pytest.fixture
def writer(store):
    return Writer(store)


@pytest.fixture
def project_id():
    return next(project_ids)


def ask(project_id, *metrics, now=NOW, **fields):
    return run(
        parse({"metrics": list(metrics), **fields}, now), project_id=project_id, now=now
    )


def series(answer, *labels):
    return {
        tuple(one["labels"][label] for label in labels): one["totals"]
        for one in answer["series"]
    }


GROUPS = [[], ["target"], ["tenant", "target"], ["service", "agent"], ["environment"]]


@given(
    st.lists(calls(ended=st.integers(NOW - 30 * HOUR, NOW)), min_size=1, max_size=25),
    st.data(),
)
@same_database
def test_any_range_and_group_gives_the_raw_sums_and_quantiles(store, some, data):
    project_id, writer = next(project_ids), Writer(store)
    writer.commit(project_id, some[::2])
    writer.fold_all()
    writer.commit(project_id, some[1::2])
    by = data.draw(st.sampled_from(GROUPS))
    since = NOW - 60 * data.draw(st.integers(1, 1_800))

    answer = ask(
        project_id,
        "calls",
        "errors",
        "attempts",
        "latency_ms.p50",
        "latency_ms.p95",
        **{"from": since, "to": NOW + 10, "group_by": by},
    )

    start = since - since % (60 if since < NOW - 3 * HOUR else 10)
    wanted = reference(some, by=by, start=start, end=NOW + 10)
    found = series(answer, *by)
    if by:
        assert set(found) == set(wanted)
    for key, group in wanted.items():
        assert found[key]["calls"] == group.calls
        assert found[key]["errors"] == group.errors
        assert found[key]["attempts"] == group.attempts
        for name, fraction in (("p50", 0.5), ("p95", 0.95)):
            value = found[key][f"latency_ms.{name}"]
            if not group.latencies:
                assert value is None
                continue
            exact_ms = exact_quantile(group.latencies, fraction) / 1_000
            assert value == pytest.approx(exact_ms, rel=0.01, abs=0.001)
    for one in answer["series"]:
        for name in ("calls", "errors", "attempts"):
            assert sum(one["values"][name]) == one["totals"][name]


def test_the_answer_has_the_promised_shape(writer, project_id):
    writer.commit(project_id, [call("search", tenant="acme")])

    answer = ask(project_id, "calls", "error_rate", group_by=["tool"])

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
    (one,) = answer["series"]
    assert one["labels"] == {"tool": "search"}
    assert one["totals"] == {"calls": 1, "error_rate": 0.0}
    assert len(one["values"]["calls"]) == len(answer["timestamps"])


def test_without_traffic_counts_are_zero_and_the_rest_is_unknown(writer, project_id):
    writer.commit(project_id, [call(at=NOW - 1_800)])
    metrics = ("calls", "error_rate", "latency_ms.p95", "latency_ms.max")

    (one,) = ask(project_id, *metrics)["series"]

    quiet = [value == 0 for value in one["values"]["calls"]]
    assert quiet.count(False) == 1
    for name in metrics[1:]:
        assert [value is None for value in one["values"][name]] == quiet


def test_a_series_of_zeros_is_not_returned(writer, project_id):
    writer.commit(project_id, [call("good")])

    assert ask(project_id, "errors")["series"] == []
    assert ask(project_id, "errors", group_by=["tool"])["series"] == []
    assert ask(next(project_ids), "calls", "error_rate")["series"] == []


def test_a_single_call_is_a_single_point(writer, project_id):
    writer.commit(project_id, [call(at=NOW - 1_800)])

    (one,) = ask(project_id, "calls", "latency_ms.avg")["series"]

    assert [value for value in one["values"]["calls"] if value] == [1]
    assert [v for v in one["values"]["latency_ms.avg"] if v is not None] == [10.0]


def test_a_ratio_of_totals_is_the_ratio_of_sums(writer, project_id):
    busy = [call(at=NOW - 600) for _ in range(99)]
    idle = [call(at=NOW - 60, outcome="failed", failure_class="timeout")]
    writer.commit(project_id, busy + idle)

    (one,) = ask(project_id, "error_rate")["series"]

    assert one["totals"]["error_rate"] == 0.01
    assert set(one["values"]["error_rate"]) == {None, 0.0, 1.0}


def test_the_hour_is_not_the_mean_of_its_minutes(writer, project_id):
    quick = [call(at=NOW - 600, latency_us=10_000) for _ in range(100)]
    writer.commit(project_id, [*quick, call(at=NOW - 60, latency_us=10_000_000)])

    (one,) = ask(project_id, "latency_ms.p95")["series"]

    assert one["totals"]["latency_ms.p95"] == pytest.approx(10, rel=0.01)


@pytest.mark.parametrize("folded", [False, True], ids=["pending", "folded"])
def test_the_first_ten_of_487_tools_and_the_rest_add_up(writer, project_id, folded):
    some = [
        call(f"tool-{n:03}", latency_us=1_000 * (1 + n % 90))
        for n in range(487)
        for _ in range(1 + (n < 12))
    ]
    writer.commit(project_id, some)
    if folded:
        writer.fold_all()

    answer = ask(
        project_id,
        "calls",
        "latency_ms.p50",
        group_by=["tool"],
        limit=10,
        compare="previous_period",
    )

    names = [one["labels"]["tool"] for one in answer["series"]]
    totals = [one["totals"]["calls"] for one in answer["series"]]
    assert names == [*(f"tool-{n:03}" for n in range(10)), "__other__"]
    assert totals == [2] * 10 + [479]
    assert answer["meta"]["series_total"] == 487
    assert answer["meta"]["series_returned"] == 11
    assert answer["meta"]["truncated"] is True
    rest = answer["series"][-1]
    others = [one.latency_us for one in some if one.target not in names]
    assert rest["totals"]["latency_ms.p50"] == pytest.approx(
        exact_quantile(others, 0.5) / 1_000, rel=0.01
    )
    assert sum(rest["values"]["calls"]) == 479
    assert rest["previous"]["calls"] == 0


def test_without_other_the_rest_is_left_out(writer, project_id):
    writer.commit(project_id, [call("a"), call("b")])

    answer = ask(project_id, "calls", group_by=["tool"], limit=1, other=False)

    assert series(answer, "tool") == {("a",): {"calls": 1}}
    assert answer["meta"]["truncated"] is True


def test_words_beyond_the_cap_join_the_rest_and_the_answer_says_so(store, project_id):
    writer = Writer(store, caps={"target": 500})
    writer.commit(project_id, [call(f"uuid-{n}") for n in range(700)])

    answer = ask(project_id, "calls", group_by=["tool"], limit=10)

    assert answer["meta"]["series_total"] == 500
    assert [warning["code"] for warning in answer["meta"]["warnings"]] == [
        "cardinality_capped"
    ]
    assert answer["series"][-1]["labels"] == {"tool": "__other__"}
    assert sum(one["totals"]["calls"] for one in answer["series"]) == 700


def test_tools_and_models_are_the_targets_of_their_kind(writer, project_id):
    writer.commit(
        project_id,
        [call("search"), call("gpt", kind="model"), call("x", kind="guardrail")],
    )

    tools = ask(project_id, "calls", group_by=["tool"])
    models = ask(project_id, "calls", group_by=["model"])
    both = ask(project_id, "calls", group_by=["tool", "model"])

    assert series(tools, "tool") == {("search",): {"calls": 1}}
    assert series(models, "model") == {("gpt",): {"calls": 1}}
    assert both["series"] == []


def test_a_missing_tenant_is_null_and_can_be_asked_for(writer, project_id):
    writer.commit(project_id, [call(tenant="acme"), call(), call()])

    answer = ask(project_id, "calls", group_by=["tenant"])
    nobody = ask(project_id, "calls", filters=[{"field": "tenant", "value": None}])

    assert series(answer, "tenant") == {("acme",): {"calls": 1}, (None,): {"calls": 2}}
    assert nobody["series"][0]["totals"]["calls"] == 2


def test_failures_are_counted_by_their_class(writer, project_id):
    failed = {"outcome": "failed", "attempts": 2}
    writer.commit(
        project_id,
        [
            call(
                failure_class="timeout",
                attempt_errors=(("server_error", 1), ("timeout", 1)),
                tenant="acme",
                **failed,
            ),
            call(failure_class="auth", attempt_errors=(("auth", 2),), **failed),
            call(outcome="refused", attempts=0, refusal_reason="quota"),
            call(),
        ],
    )

    def by(*dimensions, **fields):
        return ask(
            project_id, "errors", "attempt_errors", group_by=[*dimensions], **fields
        )

    def classes(answer):
        return {
            key: tuple(found.values())
            for key, found in series(answer, "failure_class").items()
        }

    assert classes(by("failure_class")) == {
        ("auth",): (1, 2),
        ("server_error",): (0, 1),
        ("timeout",): (1, 1),
    }
    only = [{"field": "failure_class", "op": "not_in", "value": ["auth"]}]
    assert classes(by("failure_class", filters=only)) == {
        ("server_error",): (0, 1),
        ("timeout",): (1, 1),
    }
    assert series(by("failure_class", "tenant"), "failure_class", "tenant")[
        ("timeout", "acme")
    ] == {"errors": 1, "attempt_errors": 1}
    tenants = [{"field": "tenant", "value": "acme"}]
    assert set(classes(by("failure_class", filters=tenants))) == {
        ("server_error",),
        ("timeout",),
    }
    (filtered,) = by(filters=[{"field": "failure_class", "value": "auth"}])["series"]
    assert filtered["totals"] == {"errors": 1, "attempt_errors": 2}
    nothing = by(filters=[{"field": "failure_class", "value": "bad luck"}])
    assert nothing["series"] == []
    refusals = ask(project_id, "refusals", group_by=["refusal_reason"])
    assert series(refusals, "refusal_reason") == {("quota",): {"refusals": 1}}


def test_series_come_in_the_order_asked_for_with_unknown_values_last(
    writer, project_id
):
    failed = {"outcome": "failed", "failure_class": "timeout"}
    writer.commit(
        project_id,
        [
            call("good"),
            call("bad", **failed),
            call("refused", outcome="refused", attempts=0, latency_us=None),
            call("slow", latency_us=10**6),
        ],
    )

    def names(*orders):
        answer = ask(project_id, "calls", group_by=["tool"], order_by=list(orders))
        return [one["labels"]["tool"] for one in answer["series"]]

    worst = {"metric": "error_rate", "dir": "desc"}
    assert names(worst) == ["bad", "good", "slow", "refused"]
    slowest = {"metric": "latency_ms.p95", "dir": "asc"}
    assert names(worst | {"dir": "asc"}, slowest) == ["good", "slow", "bad", "refused"]
    assert names(slowest)[-2:] == ["slow", "refused"]


def test_compared_with_the_period_before(writer, project_id):
    writer.commit(
        project_id,
        [call(at=NOW - 600), call(at=NOW - HOUR - 600), call(at=NOW - HOUR - 60)],
    )

    (one,) = ask(project_id, "calls", compare="previous_period")["series"]

    assert one["totals"] == {"calls": 1}
    assert one["previous"] == {"calls": 2}


def test_too_many_points_become_fewer_with_a_warning(writer, project_id):
    writer.commit(project_id, [call(at=NOW - 2 * HOUR)])

    answer = ask(project_id, "calls", step=10, **{"from": "now-12h"})

    assert len(answer["timestamps"]) <= 1_000
    assert [one["code"] for one in answer["meta"]["warnings"]] == ["step_coarsened"]
    assert sum(answer["series"][0]["values"]["calls"]) == 1


@pytest.mark.parametrize("step", [5_000, 10_800, 86_400])
def test_a_few_long_steps_hold_what_happened_in_them(writer, project_id, step):
    some = [call(at=NOW - age) for age in range(30, 10_000, 700)]
    writer.commit(project_id, some)
    writer.fold_all()

    (one,) = ask(project_id, "calls", step=step, **{"from": NOW - 10_000})["series"]

    assert sum(one["values"]["calls"]) == one["totals"]["calls"] == len(some)


def test_percentiles_by_group_come_in_fewer_steps(writer, project_id):
    writer.commit(project_id, [call()])
    day = {"from": "now-24h", "group_by": ["tool"]}

    counts = ask(project_id, "calls", **day)
    percentiles = ask(project_id, "calls", "latency_ms.p95", **day)

    assert counts["meta"]["step_s"] == 1_200
    assert percentiles["meta"]["step_s"] == 3_600


def test_a_late_call_revises_its_bucket(writer, project_id):
    writer.commit(project_id, [call(at=NOW - 60)])
    writer.fold_all()

    writer.commit(project_id, [call(at=NOW - 5 * HOUR)])

    (day,) = ask(project_id, "calls", **{"from": "now-24h"})["series"]
    assert day["totals"]["calls"] == 2
    assert sum(day["values"]["calls"]) == 2


@pytest.mark.parametrize(("day", "hours"), [("2026-10-25", 25), ("2026-10-26", 24)])
def test_days_of_a_time_zone_add_up_to_what_utc_says(writer, project_id, day, hours):
    midnight = 1_792_879_200 + (25 * HOUR if day == "2026-10-26" else 0)
    now = midnight + 3 * 86_400
    some = [call(at=midnight + hour * HOUR + 5) for hour in range(-2, hours + 2)]
    writer.commit(project_id, some)
    writer.fold_all(now)
    local = {"tz": "Europe/Berlin", "now": now}
    one_day = {"from": f"{day}T00:00", "to": midnight + hours * HOUR}

    hourly = ask(project_id, "calls", step="1h", **local, **one_day)
    daily = ask(project_id, "calls", step="1d", **local, **one_day)
    utc = ask(
        project_id,
        "calls",
        now=now,
        **{"from": midnight, "to": midnight + hours * HOUR},
    )

    assert hourly["series"][0]["values"]["calls"] == [1] * hours
    assert daily["series"][0]["values"]["calls"] == [hours]
    assert utc["series"][0]["totals"]["calls"] == hours


def test_days_of_uneven_length_are_told_apart(writer, project_id):
    midnight = 1_792_879_200  # 25 October 2026 in Berlin: 25 hours
    some = [call(at=midnight + hour * HOUR + 5) for hour in range(49)]
    writer.commit(project_id, some)

    answer = ask(
        project_id,
        "calls",
        step="1d",
        tz="Europe/Berlin",
        now=midnight + 4 * 86_400,
        **{"from": midnight, "to": midnight + 49 * HOUR},
    )

    assert answer["series"][0]["values"]["calls"] == [25, 24]
    assert answer["meta"]["source"] == "rollup_1h"


def test_money_is_exact_in_nanos_until_it_is_shown(writer, project_id):
    some = [call(usage=Usage(cost=100)) for _ in range(1_000)]
    writer.commit(project_id, some)

    (one,) = ask(project_id, "cost_usd")["series"]

    assert one["totals"]["cost_usd"] == 0.0001


def test_a_table_shows_the_same_numbers_and_runs_no_formula(writer, project_id):
    writer.commit(project_id, [call("=cmd|' /C calc'!A0", tenant="-1"), call("ok")])

    answer = ask(project_id, "calls", "error_rate", group_by=["tool", "tenant"])
    rows = list(csv.reader(io.StringIO(to_csv(answer))))

    assert rows[0] == ["time", "tool", "tenant", "calls", "error_rate"]
    assert {tuple(row[1:3]) for row in rows[1:]} == {
        ("'=cmd|' /C calc'!A0", "'-1"),
        ("ok", ""),
    }
    assert sum(int(row[3]) for row in rows[1:]) == 2
    assert to_csv(ask(next(project_ids), "calls", group_by=["tool"])) == "time\r\n"


def test_large_traces_that_wait_hold_completeness_back(store, writer, project_id):
    writer.commit(project_id, [call()])
    assert ask(project_id, "calls")["meta"]["complete_until"] == "2026-11-18T11:06:40Z"

    with store.begin() as tx:
        tx.execute(
            "INSERT INTO ingest_trace (id, project_id, trace_id, version, spans,"
            " touched_at, derive_after, rooted)"
            " VALUES (%s, %s, %s, 1, 5000, %s, %s, %s)",
            (
                tx.ids("ingest_trace", 1)[0],
                project_id,
                b"t" * 16,
                (NOW - 125) * 10**9,
                NOW * 10**9,
                True,
            ),
        )

    assert ask(project_id, "calls")["meta"]["complete_until"] == "2026-11-18T11:04:30Z"
