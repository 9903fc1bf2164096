"""What a call tells about itself: one span per call, one inside it per attempt.

Without the OpenTelemetry API, or where nobody listens, it costs next to nothing. A call
that is not sampled still carries its context on, so that what it does inside is not
sampled either. The keys are those of the GenAI conventions and ``switchgear.*``. An
attempt of a tool does not say that it executes one, so that other readers of the spans
do not count it twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVarTuple, Unpack

from switchgear.policy.facts import CallFacts
from switchgear.policy.vocabulary import FailureClass, Kind
from switchgear.trouble import Trouble

try:
    from opentelemetry import context as otel
    from opentelemetry import trace
except ImportError:
    HERE = False
else:
    HERE = True

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

_Given = TypeVarTuple("_Given")
_OPERATIONS = {
    Kind.TOOL: "execute_tool",
    Kind.MODEL: "chat",
    Kind.EMBEDDING: "embeddings",
    Kind.RETRIEVAL: "retrieval",
    Kind.GUARDRAIL: "guardrail",
}
_MODEL_LIKE = frozenset({Kind.MODEL, Kind.EMBEDDING})
_MESSAGE_LIMIT = 300
_REMEMBERED = 1024
_likeness = attrgetter(
    "kind", "target", "provider", "tenant", "user", "agent", "server"
)
Values = Mapping[str, str | int | float]


def _harmless(
    method: Callable[[Trail, Unpack[_Given]], None],
) -> Callable[[Trail, Unpack[_Given]], None]:
    """Whatever an exporter or a processor does, the call goes on."""

    @wraps(method)
    def tried(self: Trail, *given: *_Given) -> None:
        try:
            method(self, *given)
        except Exception as error:  # noqa: BLE001  processors are somebody else's
            self.trouble.say("telemetry", f"a span cannot be written: {error!r}")

    return tried


class Telemetry:
    """Starts the trails of calls."""

    def __init__(self, version: str, trouble: Trouble) -> None:
        self._trouble = trouble
        self._tracer = trace.get_tracer("switchgear", version) if HERE else None
        self._known: dict[tuple[str | None, ...], _Subject] = {}

    def call(
        self, facts: CallFacts, call_id: str, within: Trail | None = None
    ) -> Trail | None:
        """The trail of one call; ``None`` where nobody would read it."""
        if self._tracer is None:
            return None
        try:
            return self._started(self._tracer, facts, call_id, within)
        except Exception as error:  # noqa: BLE001  samplers are somebody else's
            self._trouble.say("telemetry", f"a span cannot be started: {error!r}")
            return None

    def _started(
        self, tracer: Tracer, facts: CallFacts, call_id: str, within: Trail | None
    ) -> Trail | None:
        likeness = _likeness(facts)
        subject = self._known.get(likeness)
        if subject is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            subject = self._known[likeness] = _subject(facts)
        span = tracer.start_span(
            subject.name,
            within.context if within else None,
            attributes={**subject.said, "switchgear.call.id": call_id},
        )
        if not span.is_recording() and not span.get_span_context().is_valid:
            return None
        return Trail(tracer, span, subject, call_id, self._trouble)


class _Subject(NamedTuple):
    """What is called, for whom: the same for many calls."""

    name: str
    said: dict[str, str]
    repeated: dict[str, str]  # by attempts


def _subject(facts: CallFacts) -> _Subject:
    kind = Kind(facts.kind)
    operation = _OPERATIONS[kind]
    name = "gen_ai.request.model" if kind in _MODEL_LIKE else "gen_ai.tool.name"
    values = {
        "gen_ai.operation.name": operation,
        name: facts.target,
        "gen_ai.provider.name": facts.provider,
        "tenant.id": facts.tenant,
        "user.id": facts.user,
        "gen_ai.agent.name": facts.agent,
        "mcp.server.name": facts.server,
    }
    said = {key: value for key, value in values.items() if value is not None}
    # An attempt that does not say what it is is a tool's.
    repeated = () if kind is Kind.TOOL else list(said)[:3]
    return _Subject(
        f"{operation} {facts.target}", said, {key: said[key] for key in repeated}
    )


class Trail:
    """The span of a call, and that of the attempt which runs."""

    __slots__ = (
        "_attempt",
        "_id",
        "_inside",
        "_subject",
        "_token",
        "_tracer",
        "context",
        "span",
        "trouble",
    )

    def __init__(
        self,
        tracer: Tracer,
        span: Span,
        subject: _Subject,
        call_id: str,
        trouble: Trouble,
    ) -> None:
        self._tracer, self.span, self.trouble = tracer, span, trouble
        self._subject, self._id = subject, call_id
        self.context = trace.set_span_in_context(span)
        self._inside = self.context
        self._attempt: Span | None = None
        self._token: Any = None

    @_harmless
    def attempt(self, number: int, backoff_s: float) -> None:
        """An attempt begins."""
        if not self.span.is_recording():
            return
        said: dict[str, str | int | float] = {
            **self._subject.repeated,
            "switchgear.call.id": self._id,
            "switchgear.attempt": number,
        }
        if backoff_s:
            said["switchgear.backoff_ms"] = backoff_s * 1000
        self._attempt = self._tracer.start_span(
            f"attempt {number}", self.context, attributes=said
        )
        self._inside = trace.set_span_in_context(self._attempt)

    def enter(self) -> None:
        """From here to ``leave`` everything happens inside the attempt."""
        self._token = otel.attach(self._inside)

    def leave(self) -> None:
        otel.detach(self._token)

    @_harmless
    def attempt_ended(
        self, failure: FailureClass | None, error: BaseException | None, used: Values
    ) -> None:
        span, self._attempt, self._inside = self._attempt, None, self.context
        if span is None:
            return
        if used:
            span.set_attributes(used)
        if failure is not None:
            span.set_attribute("switchgear.failure_class", failure.value)
            _complain(span, error or failure.value)
            if error is not None:
                span.record_exception(error)
        span.end()

    @_harmless
    def event(self, name: str, values: Values) -> None:
        self.span.add_event(name, values)

    @_harmless
    def ended(self, said: Values, complaint: BaseException | str | None) -> None:
        """The call is over."""
        self.span.set_attributes(said)
        if complaint is not None:
            _complain(self.span, complaint)
        self.span.end()


def _complain(span: Span, complaint: BaseException | str) -> None:
    raised = isinstance(complaint, BaseException)
    kind = type(complaint).__qualname__ if raised else str(complaint)
    span.set_attribute("error.type", kind)
    described = str(complaint)[:_MESSAGE_LIMIT]
    span.set_status(trace.Status(trace.StatusCode.ERROR, described))
