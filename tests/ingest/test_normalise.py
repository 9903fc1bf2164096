"""Spans in, records out: what is refused, what is counted once, what never raises."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.dialects.attributes import TOOL, WHO
from ingest.dialects.model_attributes import MODEL
from ingest.dialects.plan import dictionary
from ingest.normalise import normalise
from ingest.records import Category, Usage, pack_spans, unpack_spans
from tests.ingest.understanding import (
    END_NS,
    ERROR,
    RECEIVED_NS,
    START_NS,
    model,
    reading,
    request,
    tool,
    understood,
)

HOUR_NS = 3600 * 10**9
FIELDS = (*WHO, *TOOL, *MODEL)
PLAIN_KEYS = sorted({key for f in FIELDS for key in f.keys if "#" not in key})

scalars = (
    st.text(max_size=40)
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.binary(max_size=8)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)
    ),
    max_leaves=6,
)


# What is refused


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"trace_id": b"x" * 15}, "trace_id_invalid"),
        ({"trace_id": b""}, "trace_id_invalid"),
        ({"trace_id": bytes(16)}, "trace_id_zero"),
        ({"span_id": b""}, "span_id_missing"),
        ({"span_id": b"x" * 7}, "span_id_invalid"),
        ({"span_id": bytes(8)}, "span_id_zero"),
        ({"parent_span_id": b"x" * 3}, "parent_id_invalid"),
        ({"end_time_unix_nano": START_NS - 9 * HOUR_NS}, "too_old"),
        (
            {"start_time_unix_nano": START_NS - 9 * HOUR_NS, "end_time_unix_nano": 0},
            "too_old",
        ),
    ],
)
def test_a_span_that_cannot_be_taken_is_removed_from_the_message(fields, reason):
    asked = request({"name": "before"}, fields, {"name": "after"})

    done = normalise(
        asked, reading(oldest_ns=START_NS - HOUR_NS), received_ns=RECEIVED_NS
    )

    assert done.rejected == {reason: 1}
    left = asked.resource_spans[0].scope_spans[0].spans
    assert [span.name for span in left] == ["before", "after"]
    assert [span.span_id for span in done.spans] == [span.span_id for span in left]


def test_what_is_left_of_a_mixed_message_is_what_was_taken():
    every_third = [
        {"name": f"span {n}", "parent_span_id": b"x" * (3 if n % 3 == 0 else 8)}
        for n in range(30)
    ]
    asked = request(*every_third)

    done = normalise(asked, reading(), received_ns=RECEIVED_NS)

    left = asked.resource_spans[0].scope_spans[0].spans
    assert [span.name for span in left] == [f"span {n}" for n in range(30) if n % 3]
    assert [span.span_id for span in done.spans] == [span.span_id for span in left]
    assert done.rejected == {"parent_id_invalid": 10}


@pytest.mark.parametrize(
    "times",
    [
        {"start_time_unix_nano": 0, "end_time_unix_nano": 0},
        {"start_time_unix_nano": 5, "end_time_unix_nano": 9},
        {"start_time_unix_nano": START_NS - 9 * HOUR_NS},
    ],
    ids=["no time", "1970 is no time", "a long job that ended now"],
)
def test_only_a_valid_end_can_be_too_old(times):
    asked = request(times)

    done = normalise(
        asked, reading(oldest_ns=START_NS - HOUR_NS), received_ns=RECEIVED_NS
    )

    assert len(done.spans) == 1


def test_a_zero_parent_is_a_root():
    assert understood(parent_span_id=bytes(8)).parent_id == b""


def test_times_beyond_a_database_are_cut_and_flagged():
    span = understood(end_time_unix_nano=2**64 - 1)

    assert (span.end_ns, span.future) == (2**63 - 1, True)


def test_five_minutes_ahead_is_a_clock_and_not_the_future():
    ahead = understood(end_time_unix_nano=RECEIVED_NS + 300 * 10**9)
    beyond = understood(end_time_unix_nano=RECEIVED_NS + 301 * 10**9)

    assert (ahead.future, beyond.future) == (False, True)


def test_a_record_says_who_called_and_when():
    span = tool(
        {"tenant.id": "acme", "session.id": "s-1", "user.id": "u-1"},
        resource={"service.name": "shop", "deployment.environment.name": "staging"},
        events=[("note", {})],
        parent_span_id=b"p" * 8,
    )

    assert (span.service, span.environment) == ("shop", "staging")
    assert (span.tenant, span.session, span.user) == ("acme", "s-1", "u-1")
    assert (span.start_ns, span.end_ns) == (START_NS, END_NS)
    assert (span.received_ns, span.parent_id) == (RECEIVED_NS, b"p" * 8)
    assert span.weight == 6


def test_a_record_survives_its_stored_form():
    span = tool({"tenant.id": "acme", "error.type": "TimeoutError"}, status=ERROR)

    assert unpack_spans(pack_spans([span])) == [span]


# Tenant and environment


def test_a_bound_key_speaks_for_one_tenant_only():
    span = tool(
        {"tenant.id": "globex", "baggage.tenant.id": "globex"},
        resource={"tenant.id": "globex"},
        read=reading(tenant="acme"),
    )

    assert (span.tenant, span.tenant_copy, span.tenant_resource) == ("acme", None, None)


def test_every_source_of_a_tenant_keeps_its_rank():
    span = tool(
        {"tenant.id": "own", "baggage.tenant.id": "copy"},
        resource={"tenant.id": "resource"},
    )

    assert (span.tenant, span.tenant_copy) == ("own", "copy")
    assert span.tenant_resource == "resource"


@pytest.mark.parametrize(
    ("key", "attributes"),
    [
        ("customer", {"customer": "acme", "tenant.id": "globex"}),
        ("tags#team", {"tags": '{"team": "acme"}', "tenant.id": "globex"}),
        ('it\'s \\"my" {team}\n', {'it\'s \\"my" {team}\n': "acme", "tenant": "b"}),
    ],
)
def test_a_configured_tenant_key_goes_first(key, attributes):
    assert tool(attributes, read=reading(tenant_keys=(key,))).tenant == "acme"


def test_a_span_may_name_its_environment_when_the_resource_does_not():
    said = {"langfuse.environment": "staging"}

    assert understood(said).environment == "staging"
    assert understood().environment == "default"
    assert understood(
        said, resource={"deployment.environment": "prod"}
    ).environment == ("prod")


def test_a_resource_without_a_name_is_an_unknown_service():
    assert understood(resource={}).service == "unknown_service"


# Usage counts once (T35 to T38)


def usage(**attributes):
    return model({f"gen_ai.usage.{k}": v for k, v in attributes.items()}).usage


def test_parts_are_in_their_totals():
    cached = usage(
        **{
            "input_tokens": 130213,
            "cache_read.input_tokens": 128955,
            "cache_write.input_tokens": 1253,
        }
    )
    thought = usage(**{"output_tokens": 1970, "reasoning.output_tokens": 956})

    assert (cached.input, cached.cache_read, cached.cache_write) == (
        130213,
        128955,
        1253,
    )
    assert (thought.output, thought.reasoning) == (1970, 956)


def test_details_are_never_added_to_the_total():
    assert (
        usage(**{"details.text_prompt_tokens": 100, "input_tokens": 100}).input == 100
    )


@pytest.mark.parametrize("name", ["cache_write", "cache_creation"])
def test_both_names_of_cache_writes_are_one_column(name):
    assert usage(**{f"{name}.input_tokens": 40}).cache_write == 40


def test_old_names_and_strings_are_counts():
    assert usage(prompt_tokens="22118", completion_tokens=7.0) == Usage(22118, 7)


@pytest.mark.parametrize("absurd", [-1, math.nan, 1e30, "many", True, "9" * 99, ""])
def test_an_unusable_count_is_silence(absurd):
    assert usage(input_tokens=absurd) is None


def test_an_unusable_count_leaves_the_word_to_the_next_alias():
    assert usage(input_tokens=-1, prompt_tokens=12).input == 12


def test_zero_is_said_and_absent_is_not():
    assert usage(input_tokens=0).input == 0
    assert usage(input_tokens=0).cache_read is None


def test_containers_keep_what_they_restate():
    span = understood(
        {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": 300,
            "gen_ai.usage.output_tokens": 30,
        }
    )

    assert (span.category, span.usage.input, span.usage.output) == (
        Category.AGENT,
        300,
        30,
    )
    assert span.response_model == "gpt-4o"


# Laws


@given(st.dictionaries(st.sampled_from(PLAIN_KEYS) | st.text(max_size=20), values))
def test_no_attribute_ever_raises(attributes):
    span = understood(attributes)

    assert unpack_spans(pack_spans([span])) == [span]


@given(
    st.sampled_from(
        [
            "metadata",
            "output.value",
            "hidden_params",
            "metadata.usage_object",
            "langfuse.observation.usage_details",
            "gen_ai.tool.call.arguments",
            "gen_ai.tool.call.result",
        ]
    ),
    st.text(alphabet="{}[]()'\":,\\ -1eNone\0isErro\ud7ff", max_size=60),
)
def test_no_document_ever_raises(key, text):
    for operation in ("chat", "execute_tool"):
        understood({"gen_ai.operation.name": operation, key: text})


@given(st.data())
def test_the_first_alias_wins_in_any_order(data):
    field = data.draw(st.sampled_from([f for f in MODEL if f.name == "input"]))
    keys = [key for key in field.keys if "#" not in key]
    chosen = data.draw(st.lists(st.sampled_from(keys), min_size=1, unique=True))
    amounts = {key: keys.index(key) + 1 for key in chosen}

    span = model(amounts)

    assert span.usage.input == min(amounts.values())


def test_every_key_of_a_span_is_looked_at_once():
    looked_at = []

    def keys():
        for key in ("gen_ai.operation.name", *(f"unknown.{n}" for n in range(500))):
            looked_at.append(key)
            yield key

    dictionary(()).plan(keys())

    assert len(looked_at) == 501


@pytest.mark.parametrize(
    ("said", "understood_as"),
    [
        ("", None),
        ("  acme ", "acme"),
        ('"acme"', "acme"),
        ('"not closed', '"not closed'),
        (7, "7"),
        (1.5, "1.5"),
        (True, "true"),
        ([1], None),
        ({"a": 1}, None),
        (b"x", None),
        ("x" * 300, "x" * 256),
    ],
)
def test_a_word_is_a_word_whatever_its_type(said, understood_as):
    assert tool({"tenant.id": said}).tenant == understood_as


def test_a_key_without_a_value_says_nothing():
    asked = request({})
    span = asked.resource_spans[0].scope_spans[0].spans[0]
    span.attributes["tenant.id"].SetInParent()

    (found,) = normalise(asked, reading(), received_ns=RECEIVED_NS).spans

    assert found.tenant is None


def test_invented_words_do_not_grow_the_memory_for_ever(monkeypatch):
    monkeypatch.setattr("ingest.dialects.readers._WORDS_KEPT", 2)
    words = [f"tenant-{number}" for number in range(5)]

    assert [tool({"tenant.id": word}).tenant for word in words] == words


def test_invented_keys_do_not_grow_the_memory_for_ever(monkeypatch):
    monkeypatch.setattr("ingest.dialects.plan._PLANS_KEPT", 2)
    read = reading(tenant_keys=("only.here",))

    names = [
        understood({key: "acme"}, read=read).tenant
        for key in ("tenant", "tenant.id", "app.tenant.id", "only.here")
    ]

    assert names == ["acme"] * 4


def test_invented_keys_beside_known_ones_do_not_grow_the_memory_for_ever(monkeypatch):
    monkeypatch.setattr("ingest.dialects.plan._SETS_KEPT", 2)

    names = [tool({"tenant.id": "acme", f"key.{n}": 1}).tenant for n in range(5)]

    assert names == ["acme"] * 5


@pytest.mark.parametrize(
    "others", [[f"key.{n}" for n in range(200)], ["long" * 2000]], ids=["many", "long"]
)
def test_a_span_with_too_many_keys_to_remember_is_read_like_any_other(others):
    said = {"tenant.id": "acme", **dict.fromkeys(others, "x")}

    assert [tool(said).tenant for _ in range(2)] == ["acme", "acme"]
