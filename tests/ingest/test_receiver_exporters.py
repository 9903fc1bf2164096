"""The stock exporters of Python and JavaScript against the receiver."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from ingest import receiver
from ingest.errors import Busy
from tests.ingest.receiving import KEY, receiving

JS = Path(__file__).parent / "js"


@pytest.fixture(scope="module")
def running():
    with pytest.MonkeyPatch.context() as patch, receiving(patch) as pair:
        yield pair


@pytest.fixture
def store(running):
    store = running[1]
    store.__init__()
    return store


@pytest.fixture
def url(running, store):
    return running[0].url


def export_from_python(url, count, compression=Compression.NoCompression):
    """The ids of spans that the SDK was told to send, and sent until it was done."""
    headers = {"authorization": f"Bearer {KEY}"}
    exporter = OTLPSpanExporter(url, headers=headers, compression=compression)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("tests")
    spans = [tracer.start_span(f"execute_tool {n}") for n in range(count)]
    for span in spans:
        span.set_attribute("gen_ai.tool.name", "search")
        span.record_exception(ValueError("no"))
        span.end()
    provider.shutdown()
    return Counter(span.context.span_id.to_bytes(8, "big") for span in spans)


@pytest.mark.parametrize(
    "compression", [Compression.NoCompression, Compression.Gzip, Compression.Deflate]
)
def test_the_python_exporter_delivers_every_span_once(url, store, compression):
    sent = export_from_python(url, 50, compression)

    assert store.ids() == sent


def test_two_times_busy_loses_and_doubles_nothing(url, store):
    store.troubles = [Busy("full"), Busy("full")]

    sent = export_from_python(url, 20)

    assert store.ids() == sent
    assert store.exports == 3


def test_a_longer_wait_than_ours_would_lose_the_batch(url, store, monkeypatch):
    monkeypatch.setattr(receiver, "MAX_RETRY_AFTER", 30)
    store.troubles = [Busy("full", retry_after=30)]

    sent = export_from_python(url, 1)

    assert (sent.total(), store.spans, store.exports) == (1, [], 1)


def export_from_javascript(url, encoding, compression):
    """What the SDK says: ids of its spans, and what went wrong."""
    run = subprocess.run(
        ["node", "send.mjs", url, KEY, encoding, compression],  # noqa: S607
        cwd=JS,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    told = json.loads(run.stdout)
    return Counter(map(bytes.fromhex, told["ids"])), told["problems"]


@pytest.mark.needs("node", "exporters")
@pytest.mark.parametrize("encoding", ["json", "protobuf"])
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_the_javascript_exporters_deliver_every_span_once(
    url, store, encoding, compression
):
    sent, problems = export_from_javascript(url, encoding, compression)

    assert (store.ids(), problems) == (sent, [])
    span = store.spans[0]
    assert span.attributes["gen_ai.usage.input_tokens"].int_value == 1234
    assert span.attributes["ratio"].double_value == 0.5
    assert (span.status.code, span.events[0].name) == (2, "retry")
    assert span.events[1].attributes["exception.message"].string_value == "naïve 😀"


@pytest.mark.needs("node", "exporters")
def test_the_javascript_exporter_tries_again_after_busy(url, store):
    store.troubles = [Busy("full"), Busy("full")]

    sent, _ = export_from_javascript(url, "json", "none")

    assert store.ids() == sent
    assert store.exports == 3
