"""Every real capture, span by span: what derive is given before it decides."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import pytest

from ingest.records import Category
from tests.ingest.corpus_reader import CAPTURES, spans_of


class Seen(NamedTuple):
    """Tool spans and their failures, model spans, agents, tokens told by models."""

    tools: int
    tool_failures: int
    models: int
    agents: int
    input: int
    output: int


SEEN = {
    "anthropic-sdk-native": Seen(8, 3, 15, 7, 2100, 300),
    "autogen": Seen(10, 3, 0, 8, 0, 0),
    "celery-pipeline": Seen(11, 6, 0, 0, 0, 0),
    "double-instrumented-langgraph": Seen(17, 6, 40, 9, 5640, 850),
    "haystack": Seen(9, 3, 15, 7, 2280, 325),
    "http-tools-tenacity-grpc-gzip": Seen(12, 7, 0, 0, 0, 0),
    "langfuse": Seen(10, 3, 17, 8, 2580, 370),
    "litellm": Seen(0, 0, 17, 0, 2100, 300),
    "mcp-sdk-native": Seen(24, 8, 0, 2, 0, 0),
    "ms-agent-framework": Seen(10, 3, 17, 8, 2580, 370),
    "openinference-crewai": Seen(7, 3, 0, 5, 0, 0),
    "openinference-dspy": Seen(5, 3, 9, 0, 0, 0),
    "openinference-haystack": Seen(0, 0, 0, 0, 0, 0),
    "openinference-langgraph": Seen(17, 6, 20, 9, 2820, 425),
    "openinference-llama-index": Seen(10, 3, 17, 0, 2280, 325),
    "otel-genai-langchain": Seen(17, 6, 20, 10, 2820, 425),
    "otel-genai-openai": Seen(10, 3, 21, 12, 2820, 410),
    "otel-genai-openai-agents": Seen(12, 5, 22, 12, 3420, 485),
    "otel-openai-v2-legacy": Seen(0, 0, 13, 0, 1980, 280),
    "pydantic-ai": Seen(15, 6, 28, 13, 4080, 600),
    "strands": Seen(10, 3, 17, 8, 2580, 370),
    "traceloop-langgraph": Seen(17, 6, 20, 19, 2820, 425),
    "traceloop-openai-anthropic": Seen(16, 5, 29, 10, 4740, 673),
    "vercel-ai-sdk-v5-json": Seen(10, 3, 21, 8, 2580, 370),
    "vercel-ai-sdk-v7-json": Seen(10, 3, 17, 8, 2580, 370),
}


@pytest.mark.parametrize("capture", CAPTURES)
def test_a_capture_is_understood(capture):
    spans = spans_of(capture)

    kinds = Counter(span.category for span in spans)
    used = [s.usage for s in spans if s.category is Category.MODEL and s.usage]
    seen = Seen(
        tools=kinds[Category.TOOL],
        tool_failures=sum(s.failed for s in spans if s.category is Category.TOOL),
        models=kinds[Category.MODEL],
        agents=kinds[Category.AGENT],
        input=sum(usage.input or 0 for usage in used),
        output=sum(usage.output or 0 for usage in used),
    )
    assert seen == SEEN[capture]


@pytest.mark.parametrize("capture", CAPTURES)
def test_every_tool_and_answered_model_of_a_capture_has_a_name(capture):
    nameless = [
        span
        for span in spans_of(capture)
        if not span.name
        and not span.failed
        and span.category in (Category.TOOL, Category.MODEL)
    ]

    assert nameless == []
