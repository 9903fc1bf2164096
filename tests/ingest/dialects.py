"""How each dialect tells that an agent ran, a model answered, a tool was executed.

Only what a reader needs to tell the same story; captures hold the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

Attributes = dict[str, str | int]


@dataclass(frozen=True)
class Node:
    """Something that happened, with what happened inside it."""

    kind: str  # agent, model, tool or http
    name: str
    inside: list[Node] = field(default_factory=list)
    error: str | None = None
    call: int | None = None
    arguments: str | None = None
    response: int | None = None
    tokens: int | None = None


@dataclass(frozen=True)
class Dialect:
    """``tell`` gives the name and the attributes of a span."""

    scope: str
    tell: Callable[[Node], tuple[str, Attributes]]


def attributes_of(node: Node, dialect: str) -> tuple[str, Attributes]:
    if node.kind == "http":
        said: Attributes = {"http.request.method": "POST", "url.full": node.name}
        said["http.response.status_code"] = int(node.error or 200)
        return "POST", said
    name, attributes = DIALECTS[dialect].tell(node)
    return name, {key: value for key, value in attributes.items() if value is not None}


def _document(node: Node) -> str | None:
    return None if node.arguments is None else json.dumps({"query": node.arguments})


def _identity(prefix: str, number: int | None) -> str | None:
    return None if number is None else f"{prefix}{number}"


def _genai(node: Node) -> tuple[str, Attributes]:
    if node.kind == "agent":
        return f"invoke_agent {node.name}", {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": node.name,
        }
    if node.kind == "tool":
        return f"execute_tool {node.name}", {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": node.name,
            "gen_ai.tool.call.id": _identity("call_", node.call),
            "gen_ai.tool.call.arguments": _document(node),
        }
    return f"chat {node.name}", {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": node.name,
        "gen_ai.response.id": _identity("chatcmpl-", node.response),
        "gen_ai.usage.input_tokens": node.tokens,
        "gen_ai.usage.output_tokens": node.tokens,
    }


def _openinference(node: Node) -> tuple[str, Attributes]:
    if node.kind == "agent":
        return node.name, {
            "openinference.span.kind": "AGENT",
            "agent.name": node.name,
        }
    if node.kind == "tool":
        return node.name, {
            "openinference.span.kind": "TOOL",
            "tool.name": node.name,
            "tool_call.id": _identity("call_", node.call),
            "input.value": _document(node),
        }
    answer = _identity("chatcmpl-", node.response)
    return "ChatOpenAI", {
        "openinference.span.kind": "LLM",
        "llm.model_name": node.name,
        "llm.output_messages.0.message.role": "assistant",
        "llm.token_count.prompt": node.tokens,
        "llm.token_count.completion": node.tokens,
        "output.value": None if answer is None else json.dumps({"id": answer}),
    }


def _traceloop(node: Node) -> tuple[str, Attributes]:
    if node.kind == "model":
        name, said = _genai(node)
        return name, {**said, "llm.request.type": "chat"}
    said = {"traceloop.span.kind": node.kind, "traceloop.entity.name": node.name}
    if node.arguments is not None:
        said["traceloop.entity.input"] = json.dumps(
            {"args": [], "kwargs": {"query": node.arguments}}
        )
    return f"{node.name}.{node.kind}", said


def _langfuse(node: Node) -> tuple[str, Attributes]:
    said: Attributes = {
        "langfuse.observation.type": "generation"
        if node.kind == "model"
        else node.kind,
        "langfuse.observation.input": _document(node),
    }
    if node.kind == "model":
        said["langfuse.observation.model.name"] = node.name
        if node.tokens is not None:
            said["langfuse.observation.usage_details"] = json.dumps(
                {"prompt_tokens": node.tokens, "completion_tokens": node.tokens}
            )
    if node.error:
        said["langfuse.observation.level"] = "ERROR"
    return node.name, said


def _vercel(node: Node) -> tuple[str, Attributes]:
    if node.kind == "agent":
        return "ai.generateText", {
            "ai.operationId": "ai.generateText",
            "ai.telemetry.functionId": node.name,
        }
    if node.kind == "tool":
        return "ai.toolCall", {
            "ai.operationId": "ai.toolCall",
            "ai.toolCall.name": node.name,
            "ai.toolCall.id": _identity("call_", node.call),
            "ai.toolCall.args": _document(node),
        }
    return "ai.generateText.doGenerate", {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.model.id": node.name,
        "ai.response.id": _identity("chatcmpl-", node.response),
        "ai.usage.promptTokens": node.tokens,
        "ai.usage.completionTokens": node.tokens,
    }


def _haystack(node: Node) -> tuple[str, Attributes]:
    if node.kind == "agent":
        return "haystack.agent.run", {}
    if node.kind == "tool":
        return "haystack.agent.step.tool", {
            "haystack.tool.name": node.name,
            "haystack.agent.step.tool.input": _document(node),
        }
    meta = {"model": node.name, "usage": {"prompt_tokens": node.tokens}}
    return "haystack.agent.step.llm", {
        "haystack.agent.step.llm.output": None
        if node.tokens is None
        else json.dumps({"replies": [{"meta": meta}]}),
    }


def _celery(node: Node) -> tuple[str, Attributes]:
    if node.kind != "tool":
        return _genai(node)
    return f"run/{node.name}", {
        "celery.action": "run",
        "celery.task_name": node.name,
        "messaging.message.id": _identity("task-", node.call),
        "celery.state": "RETRY" if node.error else "SUCCESS",
    }


def _mcp(node: Node) -> tuple[str, Attributes]:
    if node.kind != "tool":
        return _genai(node)
    return f"tools/call {node.name}", {
        "mcp.method.name": "tools/call",
        "gen_ai.tool.name": node.name,
    }


DIALECTS = {
    "otel-genai": Dialect("opentelemetry.util.genai.handler", _genai),
    "pydantic-ai": Dialect("pydantic-ai", _genai),
    "strands": Dialect("strands.telemetry.tracer", _genai),
    "agent-framework": Dialect("agent_framework", _genai),
    "google-adk": Dialect("gcp.vertex.agent", _genai),
    "semantic-kernel": Dialect("semantic_kernel.functions", _genai),
    "vercel-7": Dialect("gen_ai", _genai),
    "vercel-5": Dialect("ai", _vercel),
    "openinference": Dialect("openinference.instrumentation.langchain", _openinference),
    "traceloop": Dialect("traceloop.tracer", _traceloop),
    "langfuse": Dialect("langfuse-sdk", _langfuse),
    "haystack": Dialect("haystack", _haystack),
    "celery": Dialect("opentelemetry.instrumentation.celery", _celery),
    "mcp": Dialect("mcp-python-sdk", _mcp),
}
