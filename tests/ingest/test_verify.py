"""Proof and repair: whatever rollups say wrongly is found and put right."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from dashboards.metrics import parse, run
from ingest.stores import open_store
from tests.dashboards import stored
from tests.ingest.counting import Writer

pytestmark = pytest.mark.django_db(transaction=True)


def clock():
    return timezone.now().timestamp()


@pytest.fixture
def store():
    opened = open_store()
    yield opened
    opened.close()


@pytest.fixture
def telemetry(project):
    """Two traces with a failure each, and one provider answer seen twice."""
    start_ns = int(clock() - 60) * stored.SECOND
    for trace, tenant in ((b"a" * 16, "acme"), (b"b" * 16, "globex")):
        stored.store(
            project,
            stored.export(
                trace,
                stored.agent(tenant__id=tenant),
                stored.tool("search", 3, at_ms=50),
                stored.tool("pay", 4, at_ms=90, message="declined"),
                stored.model("gpt-4o", 5, response="r-1", tokens=(100, 10)),
                start_ns=start_ns,
            ),
        )
    return project


@pytest.fixture
def folded(telemetry, store):
    """The same, all in coarser rows: the writer of the spans is long dead."""
    with store.begin() as tx:
        tx.execute("UPDATE ingest_writer SET seen_at=0")
    Writer(store).adopt_all(clock())
    return telemetry


def counted(project, *, by=("tool",), step="auto"):
    now = clock()
    query = parse(
        {
            "metrics": ["calls", "errors", "latency_ms.p95", "tokens.input"],
            "group_by": list(by),
            "step": step,
        },
        now,
    )
    answer = run(query, project_id=project.pk, now=now)
    return {tuple(one["labels"].values()): one["totals"] for one in answer["series"]}


def verify(capsys, *options):
    try:
        call_command("verify_rollups", *options)
    except SystemExit as end:
        return end.code, capsys.readouterr().out
    return 0, capsys.readouterr().out


@pytest.mark.parametrize("state", ["telemetry", "folded"])
def test_what_was_counted_is_proved(request, capsys, state):
    request.getfixturevalue(state)

    code, said = verify(capsys)

    assert code == 0, said
    assert "6 calls, 2 traces derived again, 0 rows wrong" in said


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(
            "UPDATE ingest_tick SET calls=calls+5, tokens_input=7", id="ticks"
        ),
        pytest.param("DELETE FROM ingest_tick", id="ticks gone"),
        pytest.param("UPDATE ingest_tick_reason SET errors=errors-1", id="reasons"),
        pytest.param("UPDATE ingest_tick SET latency_cells=NULL", id="histograms"),
    ],
)
@pytest.mark.parametrize("state", ["telemetry", "folded"])
def test_damage_to_ticks_is_found_and_repaired(request, store, capsys, state, damage):
    project = request.getfixturevalue(state)
    before = counted(project)
    with store.begin() as tx:
        tx.execute(damage)

    code, said = verify(capsys, "--repair")

    assert code == 1
    assert "ticks at " in said
    code, said = verify(capsys)
    assert code == 0, said
    assert counted(project) == before
    Writer(store).adopt_all(clock())
    code, said = verify(capsys)
    assert code == 0, said
    assert counted(project) == before


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE ingest_rollup SET calls=calls*2 WHERE resolution=60",
        "DELETE FROM ingest_rollup WHERE resolution=10",
        "UPDATE ingest_rollup SET latency_cells=NULL, latency_sum=0",
        "DELETE FROM ingest_rollup_reason",
    ],
)
def test_damage_to_rollups_is_found_and_repaired(folded, store, capsys, damage):
    now = clock()
    before = counted(folded), counted(folded, by=("service", "tool"))
    with store.begin() as tx:
        tx.execute(damage)

    code, said = verify(capsys, "--repair")

    assert code == 1
    assert "rollup of" in said
    code, said = verify(capsys)
    assert code == 0, said
    if clock() // 60 == now // 60:  # the same range
        assert (counted(folded), counted(folded, by=("service", "tool"))) == before


def test_a_stored_call_that_no_longer_follows_from_its_spans_is_named(
    telemetry, store, capsys
):
    with store.begin() as tx:
        tx.execute("UPDATE ingest_call SET message='something else' WHERE outcome=6")

    code, said = verify(capsys)

    assert code == 1
    assert f"trace {(b'a' * 16).hex()} derives otherwise" in said
    assert verify(capsys, "--shallow")[0] == 0


def test_a_window_whose_spans_are_gone_cannot_be_proved(telemetry):
    with pytest.raises(CommandError, match="cannot be proved"):
        call_command("verify_rollups", "--from", "2020-01-01")
    with pytest.raises(CommandError, match="ISO 8601"):
        call_command("verify_rollups", "--from", "last week")
    with pytest.raises(CommandError, match="no project"):
        call_command("verify_rollups", "--project", "nobody")
