"""A seed and the clock decide what the fleet does, and what it says is understood."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from itertools import pairwise
from random import Random
from threading import Event

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from dashboards.demo import world
from dashboards.demo.backlog import backfill, moments
from dashboards.demo.byhand import Past, run_by_hand
from dashboards.demo.exporting import Gather, document, value
from dashboards.demo.services import FLEET
from ingest.otlp.decode import decode

NOON = 1_795_176_000


def dice(seed=1):
    return Random(seed)


def spans_of(name, *, runs=50, at_s=NOON, live_from_s=NOON, seed=1):
    gather = Gather()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(gather)
    tracer, rng = provider.get_tracer("demo"), dice(seed)
    service = FLEET[name]

    async def tell():
        for number in range(runs):
            clock = Past(at_s + number)
            run = run_by_hand(service, tracer, rng, clock, live_from_s=live_from_s)
            await service.job(run)

    asyncio.run(tell())
    return gather.take()


def told(spans):
    return [(span.name, span.start_time, span.end_time) for span in spans]


@pytest.mark.parametrize("name", FLEET)
def test_a_seed_decides_what_a_service_does(name):
    assert told(spans_of(name)) == told(spans_of(name))
    assert told(spans_of(name)) != told(spans_of(name, seed=2))


@pytest.mark.parametrize("name", FLEET)
def test_ids_are_never_used_twice(name):
    """A fleet that is started again must not overwrite what it sent before."""
    first, second = spans_of(name, runs=5), spans_of(name, runs=5)

    ids = {span.context.trace_id for span in first}
    assert not ids & {span.context.trace_id for span in second}


@pytest.mark.parametrize("name", FLEET)
def test_children_lie_within_their_parents(name):
    spans = spans_of(name)
    by_id = {span.context.span_id: span for span in spans}

    for span in spans:
        assert span.start_time <= span.end_time
        if span.parent is not None:
            parent = by_id[span.parent.span_id]
            assert parent.start_time <= span.start_time
            assert span.end_time <= parent.end_time


def down(seconds):
    return [world.outage(NOON + second, live_from_s=NOON) for second in seconds]


def test_an_outage_comes_after_a_minute_and_then_every_seven_for_two():
    found = down(range(2 * world.OUTAGE_EVERY_S))

    began = [at for at, (one, two) in enumerate(pairwise(found), 1) if two > one]
    assert began == [60, 480]
    assert [sum(map(bool, found[at : at + 420])) for at in began] == [120, 120]


def test_only_some_outages_of_the_past_are_remembered():
    begun = range(60 - 206 * world.OUTAGE_EVERY_S, -3600, world.OUTAGE_EVERY_S)

    assert 10 < sum(map(bool, down(begun))) < len(begun) / 4


def test_every_provider_has_its_bad_day():
    begun = range(60, 20 * world.OUTAGE_EVERY_S, world.OUTAGE_EVERY_S)

    assert set(down(begun)) == set(world.OUTAGES)
    providers = [each.provider for each in (world.TOOLS | world.MODELS).values()]
    assert set(world.OUTAGES) <= set(providers)


def test_it_is_busier_in_the_afternoon_than_at_night():
    midnight = NOON - NOON % world.DAY_S

    by_hour = [world.busy(midnight + hour * 3600) for hour in range(24)]

    assert by_hour.index(max(by_hour)) in range(12, 16)
    assert min(by_hour) == by_hour[3] > 0.5


def test_tenants_come_in_different_volumes():
    spans = spans_of("support-agent", runs=400)

    tenants = Counter(span.attributes["tenant.id"] for span in spans)
    assert tenants["acme"] > tenants["hooli"] > tenants["tiny-co"]


def test_the_past_is_told_backwards_and_thins_out():
    found = list(moments(dice(), 1.0, now_s=NOON, history_s=86_400))

    assert found == sorted(found, reverse=True)
    assert found[0] <= NOON
    assert found[-1] >= NOON - 86_400
    recent = sum(at > NOON - 1800 for at in found)
    older = sum(NOON - 7200 < at < NOON - 5400 for at in found)
    assert recent > 1.5 * older > 0


def test_a_past_that_is_there_already_is_not_told_again():
    assert list(moments(dice(), 1.0, now_s=NOON, history_s=0)) == []


def test_json_says_what_the_stock_exporter_says():
    spans = spans_of("billing")

    ours = decode(json.dumps(document(spans)).encode(), "application/json").request
    stock = decode(encode_spans(spans).SerializeToString(), "application/x-protobuf")

    def comparable(request):
        return [
            (
                span.trace_id,
                span.span_id,
                span.parent_span_id,
                span.name,
                span.kind,
                span.start_time_unix_nano,
                span.end_time_unix_nano,
                {key: str(one) for key, one in span.attributes.items()},
                [(event.name, event.time_unix_nano) for event in span.events],
                (span.status.code, span.status.message),
            )
            for group in request.resource_spans
            for part in group.scope_spans
            for span in part.spans
        ]

    assert comparable(ours) == comparable(stock.request)


def test_json_knows_every_kind_of_value():
    assert value(True) == {"boolValue": True}
    assert value(1) == {"intValue": "1"}
    assert value(0.5) == {"doubleValue": 0.5}
    assert value("a") == {"stringValue": "a"}


class Moody:
    """An exporter whose server is busy at first."""

    def __init__(self, failures):
        self.failures = failures
        self.sent = []

    def export(self, spans):
        if self.failures:
            self.failures -= 1
            return SpanExportResult.FAILURE
        self.sent += spans
        return SpanExportResult.SUCCESS


class Impatient(Event):
    """Waits for nothing."""

    def wait(self, timeout=None):
        return self.is_set()


def tell_past(name, out, stop, *, history_s=3600.0):
    provider = TracerProvider(shutdown_on_exit=False)
    past = backfill(
        FLEET[name],
        provider,
        out,
        dice(),
        now_s=NOON,
        history_s=history_s,
        stop=stop,
    )
    asyncio.run(past)


def test_the_past_is_sent_again_while_the_server_is_busy():
    out = Moody(failures=3)

    tell_past("billing", out, Impatient())

    ids = [span.context.span_id for span in out.sent]
    assert len(ids) == len(set(ids)) > 100


def test_the_past_is_given_up_when_nobody_takes_it():
    out = Moody(failures=10_000)

    tell_past("billing", out, Impatient())

    assert out.sent == []


def test_the_past_stops_when_it_is_told_to():
    out, stop = Moody(failures=0), Impatient()
    stop.set()

    tell_past("support-agent", out, stop, history_s=86_400.0)

    assert len(out.sent) < 1000


def test_no_run_of_the_past_ends_in_the_future():
    out = Moody(failures=0)

    tell_past("support-agent", out, Impatient(), history_s=60.0)

    ends = [span.end_time / world.SECOND_NS for span in out.sent]
    assert NOON - 10 < max(ends) <= NOON
