"""One run of an agent: a clock of its own, and the spans that the run leaves behind.

A run takes no time to simulate. Its clock moves as the tools and models in it would
take, and every span begins and ends on that clock.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from secrets import token_hex

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

from dashboards.demo import world
from dashboards.demo.dialects import Dialect, Used
from dashboards.demo.world import Model, Tool, Trouble

MS_NS = 1_000_000
MOST_TRIES = 3
Value = str | int | float | bool


@dataclass(slots=True)
class Run:
    tracer: Tracer
    rng: Random
    dialect: Dialect
    now_ns: int
    live_from_s: float
    about: Mapping[str, Value]  # tenant, session, user
    tries: str = "events"  # how this service tells of retries
    _stack: list[Span] = field(default_factory=list)

    @contextmanager
    def agent(self, name: str) -> Iterator[None]:
        span = self.begin(f"invoke_agent {name}", self.dialect.agent(name))
        self._stack.append(span)
        yield
        self._stack.pop()
        self.pass_ms(self.rng.uniform(1, 6))
        self.end(span)

    def think(self, name: str) -> bool:
        """Ask a model, again if that may help, then another; whether one answered."""
        model = world.MODELS[name]
        if self._ask(model, tries=MOST_TRIES):
            return True
        other = world.MODELS.get(model.fallback)
        return other is not None and self._ask(other, tries=1)

    def _ask(self, model: Model, *, tries: int) -> bool:
        for number in range(1, tries + 1):
            found = world.completion(self.rng, model, down=self.down)
            span = self.begin(
                f"chat {model.name}", self.dialect.model(model), kind=SpanKind.CLIENT
            )
            if found is None:
                self._answer(span, model)
                return True
            self.fail(span, found)
            if not found.again:
                return False
            self.back_off(number)
        return False

    def _answer(self, span: Span, model: Model) -> None:
        took = world.duration_ms(self.rng, model.typical_ms)
        reads = int(model.reads * self.rng.lognormvariate(0, 0.5))
        used = Used(
            input=reads,
            output=0 if model.embeds else int(took / 9),
            cached=int(reads * self.rng.choice((0, 0, 0.5, 0.8))),
            first_s=took * 0.0002,
        )
        span.set_attributes(self.dialect.answer(model, used, f"resp_{token_hex(12)}"))
        self.pass_ms(took)
        self.end(span)

    def use(self, name: str, **arguments: Value) -> bool:
        """Call a tool as often as makes sense; whether it worked."""
        tool = world.TOOLS[name]
        call = f"call_{token_hex(8)}"
        if self.tries == "siblings":
            return self._siblings(tool, call, arguments)
        span = self._tool_span(tool, call, arguments)
        worked = self._attempts(tool, span)
        self.end(span)
        return worked

    def _tool_span(self, tool: Tool, call: str, arguments: Mapping[str, Value]) -> Span:
        told = self.dialect.tool(tool, call, json.dumps(arguments))
        return self.begin(f"execute_tool {tool.name}", told)

    def _siblings(self, tool: Tool, call: str, arguments: Mapping[str, Value]) -> bool:
        """Every try is a span of its own with the same call id."""
        for number in range(1, MOST_TRIES + 1):
            span = self._tool_span(tool, call, arguments)
            found = self.try_once(tool)
            self._close(span, found)
            if found is None:
                return True
            if not found.again:
                return False
            self.back_off(number)
        return False

    def _attempts(self, tool: Tool, span: Span) -> bool:
        """One span for the call; tries are events of it, or spans inside it."""
        for number in range(1, MOST_TRIES + 1):
            inner = self._attempt_span(tool, span, number)
            found = self.try_once(tool)
            self._close(inner, found)
            if found is None:
                return True
            if not found.again or number == MOST_TRIES:
                self.blame(span, found)
                return False
            waited_s = self.back_off(number)
            if inner is None:
                told: dict[str, Value] = {
                    "error.type": found.type,
                    "retry.backoff_seconds": waited_s,
                }
                span.add_event("retry", told, timestamp=self.now_ns)
        return False

    def _attempt_span(self, tool: Tool, outer: Span, number: int) -> Span | None:
        if self.tries != "nested":
            return None
        told = self.dialect.tool(tool, "", "") | {"retry.attempt": number}
        return self.begin(f"execute_tool {tool.name}", told, parent=outer)

    def _close(self, span: Span | None, found: Trouble | None) -> None:
        if span is not None:
            if found is not None:
                self.blame(span, found)
            self.end(span)

    def try_once(self, tool: Tool) -> Trouble | None:
        found = world.attempt(self.rng, tool, down=self.down)
        typical_ms = world.duration_ms(self.rng, tool.typical_ms)
        self.pass_ms(found.took_ms if found else typical_ms)
        return found

    def refuse(self, name: str, reason: str, rule: str) -> None:
        """A call that a rule stopped before anything was tried."""
        told = self.dialect.tool(world.TOOLS[name], f"call_{token_hex(8)}", "") | {
            "switchgear.outcome": "refused",
            "switchgear.decision": "refuse",
            "switchgear.refusal_reason": reason,
            "switchgear.rule": rule,
        }
        span = self.begin(f"execute_tool {name}", told)
        self.pass_ms(0.4)
        span.set_status(StatusCode.ERROR, f"{name} is not available now: {reason}")
        self.end(span)

    def give_up(self, name: str) -> None:
        """The caller went away in the middle of a call."""
        tool = world.TOOLS[name]
        span = self._tool_span(tool, f"call_{token_hex(8)}", {"reason": "closed"})
        self.fail(span, Trouble("CancelledError", "the user left", tool.typical_ms / 2))

    def chance(self, share: float) -> bool:
        return world.chance(self.rng, share)

    # The clock, and spans on it.

    @property
    def down(self) -> str:
        return world.outage(self.now_ns / 1e9, live_from_s=self.live_from_s)

    def pass_ms(self, ms: float) -> None:
        self.now_ns += int(ms * MS_NS)

    def back_off(self, number: int) -> float:
        """Wait twice as long each time; seconds."""
        waited_s = 0.2 * (1 << number) * self.rng.uniform(0.5, 1)
        self.pass_ms(waited_s * 1000)
        return waited_s

    def begin(
        self,
        name: str,
        attributes: Mapping[str, Value],
        *,
        parent: Span | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> Span:
        parent = parent or (self._stack[-1] if self._stack else None)
        context = trace.set_span_in_context(parent) if parent else None
        # As baggage does it: every span says for whom it is, the root comes last.
        told = {**self.about, **attributes}
        return self.tracer.start_span(name, context, kind, told, start_time=self.now_ns)

    def end(self, span: Span) -> None:
        span.end(self.now_ns)

    def fail(self, span: Span, found: Trouble) -> None:
        self.pass_ms(found.took_ms)
        self.blame(span, found)
        self.end(span)

    def blame(self, span: Span, found: Trouble) -> None:
        span.set_attribute("error.type", found.type)
        if found.status_code is not None:
            span.set_attribute("http.response.status_code", found.status_code)
        span.set_status(StatusCode.ERROR, found.message)
        told = {"exception.type": found.type, "exception.message": found.message}
        span.add_event("exception", told, timestamp=self.now_ns)
