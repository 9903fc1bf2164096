"""Documents become rules, or are refused with a pointer that says where and why."""

from __future__ import annotations

import json
from decimal import localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.policy.documents import canonical
from switchgear.policy.documents.reading import read_rule, rule_document
from switchgear.policy.errors import PolicyError, step
from switchgear.policy.rules import COMMON, KINDS, Mode, Tier, parameters
from switchgear.policy.rules.parameters import Type
from switchgear.policy.rules.selectors import Target
from switchgear.policy.vocabulary import FailureClass, RefusalReason
from tests.policy.documents import any_rule, document, json_values, refusal, rule, rules

each_kind = pytest.mark.parametrize("kind", KINDS)


@each_kind
@given(data=st.data())
def test_a_rule_survives_its_document(kind, data):
    made = data.draw(rules(kind))

    written = json.loads(canonical.dumps(rule_document(made)))

    assert read_rule(written, strict=True) == made
    assert read_rule(written, strict=False) == made
    assert rule_document(read_rule(written, strict=True)) == rule_document(made)


@each_kind
def test_a_document_shows_every_default(kind):
    written = rule_document(rule(kind))
    has_value = {
        each.name
        for each in (*COMMON, *parameters(kind))
        if each.default is not None or each.required
    }

    assert has_value <= set(written)
    for each in parameters(kind):
        if each.default is not None and each.name not in document(kind):
            assert written[each.name] == each.default


def test_values_are_ready_to_be_obeyed():
    made = rule(
        "fallback",
        chain=[{"target": "model:small"}, {"target": "lite"}],
        on=["timeout", "quota"],
        expires_at="2026-11-20T12:00:00Z",
    )

    assert made.mode is Mode.ENFORCE
    assert made.tier is Tier.NORMAL
    assert made.expires_at == 1795176000.0
    assert made.on[0] is FailureClass.TIMEOUT
    assert made.on[1] is RefusalReason.QUOTA
    assert [hop.target for hop in made.chain] == [
        Target("model", "small"),
        Target(None, "lite"),
    ]


def test_money_is_exact_whatever_precision_the_program_has_chosen():
    with localcontext(prec=2):
        quota = rule("quota", limit="123456789012345.123456789", warn_at=[0.123456])

        assert quota.limit_units == 123456789012345123456789
        assert rule("run_budget", max_usd="1234.5").max_usd_nano == 1_234_500_000_000
        assert b'"limit":"123456789012345.123456789"' in (
            canonical.dumps(rule_document(quota))
        )
        assert b'"warn_at":[0.123456]' in canonical.dumps(rule_document(quota))


def test_money_is_counted_in_whole_nano_usd():
    quota = rule("quota", limit="0.000000001")
    budget = rule("run_budget", max_usd="1.50")
    hop = rule("fallback", chain=[{"target": "a", "max_cost_usd": "0.01"}]).chain[0]

    assert quota.limit_units == 1
    assert budget.max_usd_nano == 1_500_000_000
    assert hop.max_cost_nano == 10_000_000
    assert rule("run_budget", max_steps=1).max_usd_nano is None
    assert rule("quota", unit="seconds", limit="1.5").limit_units == 1500
    assert rule("quota", unit="calls", limit="7").limit_units == 7


@pytest.mark.parametrize(("kind", "name"), [("retry", "x"), ("quota", "window/x")])
def test_a_server_refuses_an_unknown_field_and_a_client_passes_over_it(kind, name):
    fields = {"x": 1} if name == "x" else {"window": {"x": 1}}

    error = refusal(document(kind, **fields))

    assert error.pointer == f"/{name}"
    assert "is not known here; known are" in error.message
    assert read_rule(document(kind, **fields), strict=False) == rule(
        kind, **({} if name == "x" else {"window": {}})
    )


@pytest.mark.parametrize("strict", [True, False])
def test_nobody_passes_over_a_condition_they_do_not_know(strict):
    error = refusal(document("retry", selector={"sla": "gold"}), strict=strict)

    assert error.pointer == "/selector/sla"
    assert "known are target, model" in error.message


@each_kind
def test_null_is_refused_everywhere(kind):
    for each in (*COMMON, *parameters(kind)):
        error = refusal(document(kind, **{each.name: None}))

        assert error.pointer == f"/{each.name}"
        assert error.message == "must not be null; leave it out instead"


BAD_VALUES = {
    Type.INT: [True, 1.5, "1", -(10**12), 10**12, float("nan"), []],
    Type.NUMBER: [True, "1", 0, 11, float("inf"), {}],
    Type.FLAG: [0, 1, "true", []],
    Type.TEXT: [1, "", "  ", " a", "a\n", "a\0", "x" * 501],
    Type.CHOICE: [1, "", "ENFORCE", ["enforce"], True],
    Type.CHOICES: ["timeout", ["timeout", "timeout"], [["a"]], ["no"], {"a": 1}],
    Type.NUMBERS: [0.5, [0.5, 0.5], [0.9, 0.5], [0], [2], ["0.5"], [0.01] * 11],
    Type.DECIMAL: [
        1,
        0.5,
        "",
        "-1",
        "1e3",
        "NaN",
        "1.0000000001",
        "9" * 16,
        "\u0661",
        "1\n",
    ],
    Type.SLUG: [1, "", "a b", "-a", "ä", "a\n", "x" * 101],
    Type.TIME: [
        1795176000,
        "2026-11-20",
        "2026-11-20T12:00:00+01:00",
        "2026-02-30T12:00:00Z",
        "2026-11-20T12:00:60Z",
        "0000-01-01T00:00:00Z",
        "2026-11-20T12:00:00Z\n",
    ],
    Type.PERIOD: ["", "P2D", "PT0M", "PT1441M", "PT1H30M", "1d", 86400, "PT9999M"],
    Type.ZONE: ["", "Mars/Olympus", "../etc/passwd", "/etc/passwd", "Europe", 1],
    Type.CLOCK: ["24:00", "9:00", "09:60", "", 900],
    Type.TARGET: ["", " ", "tool:", "tool: ", 1, {}, "a\x7f"],
    Type.SELECTOR: ["a", [], 1],
    Type.OBJECT: ["P1D", [], 1],
    Type.CHAIN: [{}, [], ["a"], [{"target": "a"}] * 11, [{}], [{"target": None}]],
}


def _bad_documents():
    for kind in KINDS:
        for each in parameters(kind):
            for value in BAD_VALUES[each.type]:
                yield kind, each.name, value
            for part in each.parts:
                for value in BAD_VALUES[part.type]:
                    inner = {"target": "a"} | {part.name: value}
                    chain = each.type is Type.CHAIN
                    given = [inner] if chain else {part.name: value}
                    where = f"{each.name}/0" if chain else each.name
                    yield kind, f"{where}/{part.name}", {each.name: given}
    for each in COMMON:
        for value in BAD_VALUES[each.type]:
            yield "retry", each.name, value


def test_every_type_has_bad_values():
    assert set(BAD_VALUES) == set(Type)


@pytest.mark.parametrize("strict", [True, False])
def test_each_parameter_refuses_bad_values_with_a_pointer_to_it(strict):
    tried = 0
    for kind, pointer, value in _bad_documents():
        nested = "/" in pointer
        name = pointer.split("/")[0]
        given = document(kind, **(value if nested else {name: value}))

        error = refusal(given, strict=strict)

        assert error.pointer.startswith(f"/{pointer}"), (kind, pointer, value)
        assert error.rule == (None if pointer == "id" else f"{kind}-1")
        tried += 1

    assert tried > 300


def test_bounds_are_taken_and_what_lies_beyond_is_not():
    tried = 0
    for kind in KINDS:
        for each in parameters(kind):
            if each.type is not Type.INT:
                continue
            below = refusal(document(kind, **{each.name: int(each.least) - 1}))
            above = refusal(document(kind, **{each.name: int(each.most) + 1}))

            assert below.message.startswith(f"must be at least {each.least}")
            assert above.message.startswith(f"must be at most {each.most}")
            assert below.pointer == above.pointer == f"/{each.name}"
            tried += 1

    assert tried > 20


@pytest.mark.parametrize("kind", [None, 1, "", "Retry", "cache", ["retry"]])
def test_an_unknown_kind_is_refused_naming_those_there_are(kind):
    error = refusal({"id": "a", "kind": kind})

    assert error.pointer == "/kind"
    assert "retry, timeout, circuit_breaker" in error.message


@each_kind
def test_what_is_required_is_named(kind):
    required = {each.name for each in (*COMMON, *parameters(kind)) if each.required}

    for name in required:
        given = {key: value for key, value in document(kind).items() if key != name}

        assert refusal(given).pointer == f"/{name}"
        assert refusal(given).message == "is required"


CONTRADICTIONS = [
    ("retry", {"wait_duration_ms": 500, "max_wait_ms": 400}, "/max_wait_ms"),
    ("retry", {"total_deadline_ms": 599}, "/total_deadline_ms"),
    ("timeout", {"timeout_ms": 10, "first_byte_ms": 11}, "/first_byte_ms"),
    ("timeout", {"timeout_ms": 10, "idle_stream_ms": 11}, "/idle_stream_ms"),
    (
        "circuit_breaker",
        {"max_wait_duration_in_open_state_ms": 29_999},
        "/max_wait_duration_in_open_state_ms",
    ),
    (
        "circuit_breaker",
        {"sliding_window_type": "count", "sliding_window_size": 19},
        "/minimum_number_of_calls",
    ),
    (
        "circuit_breaker",
        {"record_failures": ["tool_error"], "scope": ["server"]},
        "/record_failures",
    ),
    ("fallback", {"chain": [{"target": "a"}, {"target": "a"}]}, "/chain"),
    ("quota", {"unit": "calls", "limit": "1.5"}, "/limit"),
    ("quota", {"unit": "tokens_total", "limit": "0.1"}, "/limit"),
    ("quota", {"parent": "quota-1"}, "/parent"),
    ("quota", {"window": {"week_start": "sunday"}}, "/window/week_start"),
    (
        "quota",
        {"window": {"period": "PT1H", "reset_time": "06:00"}},
        "/window/reset_time",
    ),
]


@pytest.mark.parametrize(("kind", "fields", "pointer"), CONTRADICTIONS)
@pytest.mark.parametrize("strict", [True, False])
def test_values_that_contradict_each_other_are_refused(kind, fields, pointer, strict):
    error = refusal(document(kind, **fields), strict=strict)

    assert error.pointer == pointer


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("retry", {"total_deadline_ms": 600}),
        ("retry", {"max_attempts": 1, "total_deadline_ms": 1}),
        ("circuit_breaker", {"record_failures": ["tool_error"]}),
        (
            "circuit_breaker",
            {"sliding_window_type": "count", "sliding_window_size": 20},
        ),
        ("circuit_breaker", {"sliding_window_size": 1}),
        ("quota", {"window": {"period": "P1W", "week_start": "sunday"}}),
        ("quota", {"window": {"period": "PT1440M", "tz": "Australia/Lord_Howe"}}),
        ("quota", {"limit": "0"}),
        ("rate_limit", {"burst": 1}),
        ("kill_switch", {"effect": "fallback", "message": "Paused until four."}),
    ],
)
def test_values_at_the_edge_are_taken(kind, fields):
    assert isinstance(rule(kind, **fields), KINDS[kind])


def test_a_budget_without_any_bound_is_refused():
    error = refusal({"id": "a", "kind": "run_budget"})

    assert "must set one of max_steps" in error.message


def test_a_kill_switch_must_end_by_itself_within_a_day():
    noon = 1795176000.0
    late = document("kill_switch", expires_at="2026-11-20T12:00:01Z")
    endless = {"id": "a", "kind": "kill_switch"}

    assert refusal(endless).pointer == "/expires_at"
    assert refusal(late, now=noon - 86_400).pointer == "/expires_at"
    assert refusal(late, now=noon - 86_400).rule == "kill_switch-1"
    assert rule("kill_switch")
    assert read_rule(document("kill_switch"), strict=True, now=noon - 86_400)
    # A client obeys what was published, whatever its clock says.
    assert read_rule(late, strict=False, now=0.0)
    assert read_rule(document("retry"), strict=True, now=noon)


def test_a_pointer_begins_where_the_rule_stands():
    error = refusal(
        document("fallback", chain=[{"target": "a", "x": 1}]), at="/rules/3"
    )

    assert error.pointer == "/rules/3/chain/0/x"
    assert str(error).startswith("is not known here")
    assert str(error).endswith("(/rules/3/chain/0/x)")


def test_an_error_about_the_whole_has_no_pointer():
    assert str(refusal([])) == "must be an object"
    assert str(PolicyError("/a", "is odd")) == "is odd (/a)"
    assert step("/a", "b/c~d") == "/a/b~1c~0d"


@pytest.mark.parametrize("strict", [True, False])
@given(st.data())
def test_arbitrary_json_is_read_or_refused_and_nothing_else(strict, data):
    kind = data.draw(st.sampled_from(list(KINDS)))
    known = [each.name for each in (*COMMON, *parameters(kind))]
    fields = data.draw(
        st.dictionaries(st.sampled_from(known) | st.text(max_size=4), json_values)
    )
    given = data.draw(st.sampled_from([document(kind) | fields, fields, [fields]]))

    error = None
    try:
        made = read_rule(given, strict=strict, at="/rules/0", now=0.0)
    except PolicyError as refused:
        error = refused

    if error is None:
        assert read_rule(rule_document(made), strict=True) == made
    else:
        assert error.pointer.startswith("/rules/0")


@given(any_rule)
def test_a_rule_and_its_document_can_be_hashed(made):
    assert hash(made) == hash(read_rule(rule_document(made), strict=False))
    assert canonical.dumps(rule_document(made))


def test_blank_null_huge_and_nan_values_are_refused_with_a_pointer():
    """Pitfall 31: one blank field of a quota policy took a cloud down in 2025."""
    for value in ("", " ", None, float("nan"), float("inf"), -1, 10**30, {}, [[[]]]):
        error = refusal(document("rate_limit", limit=value))

        assert error.pointer.startswith("/limit")

    deep: object = "a"
    for _ in range(100):
        deep = {"not": deep}
    assert refusal(document("retry", selector=deep)).pointer.startswith("/selector/not")


def test_an_unknown_field_is_refused_with_a_pointer():
    """Pitfall 25: a configuration that drops unknown keys answers "updated"."""
    error = refusal(document("retry", max_retries=3))

    assert error.pointer == "/max_retries"
    assert "max_attempts" in error.message


def test_waits_that_outlast_their_deadline_are_refused():
    """Pitfall 32: a grace shorter than the longest back-off reports false alarms."""
    waits = {"max_attempts": 4, "wait_duration_ms": 1000, "max_wait_ms": 3000}

    error = refusal(document("retry", total_deadline_ms=5999, **waits))

    assert error.message == "leaves no time for waits of up to 6000 ms"
    assert rule("retry", total_deadline_ms=6000, **waits)
