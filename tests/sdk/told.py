"""What the server makes of the spans of a client: exported, decoded, derived."""

from __future__ import annotations

from collections import Counter, defaultdict

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ingest.derive import derive
from ingest.normalise import normalise
from ingest.otlp.schema import ExportRequest
from ingest.records import Call
from switchgear.telemetry import Telemetry
from switchgear.version import __version__
from tests.ingest.understanding import RECEIVED_NS, reading


class Listening:
    """A client whose spans are kept."""

    def __init__(self, client) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.listen(client)

    def listen(self, client) -> None:
        """Begin, with the provider there is now."""
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("service")
        core = client._core
        core.telemetry = Telemetry(__version__, core.trouble)
        core.telemetry._tracer = self.provider.get_tracer("switchgear")

    def spans(self):
        return list(self.exporter.get_finished_spans())

    def calls(self) -> list[Call]:
        """As the server derives them."""
        request = ExportRequest.FromString(
            encode_spans(self.spans()).SerializeToString()
        )
        received_ns = max(RECEIVED_NS, *(span.end_time for span in self.spans()))
        by_trace = defaultdict(list)
        for span in normalise(request, reading(), received_ns=received_ns).spans:
            by_trace[span.trace_id].append(span)
        return [call for spans in by_trace.values() for call in derive(spans)]


def counted(ended) -> Counter:
    """Calls as the client says they ended."""
    return Counter(
        (
            call.kind,
            call.target,
            call.tenant,
            call.outcome,
            call.attempts,
            call.failure_class,
            call.refusal_reason,
            call.rule,
        )
        for call in ended
    )


def derived(calls) -> Counter:
    """The same of calls that the server derived."""
    return Counter(
        (
            call.kind,
            call.target,
            call.tenant,
            call.outcome,
            call.attempts,
            call.failure_class,
            call.refusal_reason,
            call.rule,
        )
        for call in calls
    )
