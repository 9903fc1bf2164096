"""Every dialect as its sender writes it, and the one record we make of it.

The attribute sets are cut down from what the libraries really emit.
"""

from __future__ import annotations

import pytest

from ingest.records import Category, Usage
from tests.ingest.understanding import (
    ERROR,
    START_NS,
    model,
    reading,
    tool,
    understood,
)

LANGFUSE_USAGE = (
    '{"completion_tokens": 30, "prompt_tokens": 120, "completion_tokens_details":'
    ' {"reasoning_tokens": 8}, "prompt_tokens_details": {"cached_tokens": 64}}'
)
LITELLM_USAGE = (
    "{'completion_tokens': 30, 'prompt_tokens': 120, 'completion_tokens_details':"
    " {'reasoning_tokens': 8}, 'prompt_tokens_details': {'cached_tokens': 64}}"
)
HAYSTACK_ANSWER = (
    '{"replies": [{"meta": {"model": "gpt-4o-mini-2026-02-01", "usage":'
    + LANGFUSE_USAGE
    + "}}]}"
)
USED = Usage(input=120, output=30, cache_read=64, reasoning=8)

# Sender -> (what it writes, what we understand)
DIALECTS = {
    "otel tool": (
        {
            "name": "execute_tool search",
            "attributes": {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "search",
                "gen_ai.agent.name": "support",
                "gen_ai.conversation.id": "c-1",
            },
        },
        {"category": Category.TOOL, "name": "search", "agent": "support"}
        | {"session": "c-1"},
    ),
    "otel model": (
        {
            "attributes": {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-4o-mini",
                "gen_ai.response.model": "gpt-4o-mini-2026-02-01",
                "gen_ai.response.time_to_first_chunk": 0.25,
            }
        },
        {
            "category": Category.MODEL,
            "name": "gpt-4o-mini",
            "response_model": "gpt-4o-mini-2026-02-01",
            "provider": "openai",
            "ttft_us": 250_000,
            "native": False,
        },
    ),
    "otel embedding": (
        {
            "attributes": {
                "gen_ai.operation.name": "embeddings",
                "gen_ai.request.model": "e-3",
            }
        },
        {"category": Category.EMBEDDING, "name": "e-3"},
    ),
    "otel workflow": (
        {"attributes": {"gen_ai.operation.name": "invoke_workflow"}},
        {"category": Category.WORKFLOW, "name": ""},
    ),
    "otel agent at build time": (
        {"attributes": {"gen_ai.operation.name": "create_agent"}},
        {"category": Category.OTHER},
    ),
    "unknown operation": (
        {"attributes": {"gen_ai.operation.name": "dream"}},
        {"category": Category.OTHER, "name": ""},
    ),
    "a step of somebody's that notes a method": (
        {"attributes": {"http.request.method": "POST"}, "kind": 1},
        {"category": Category.OTHER},
    ),
    "anthropic native": (
        {
            "scope": "com.anthropic.sdk.python",
            "attributes": {
                "gen_ai.operation.name": "chat",
                "gen_ai.request.model": "claude-sonnet-4-5",
                "http.request.method": "POST",
                "http.request.resend_count": 2,
            },
        },
        {
            "category": Category.MODEL,
            "native": True,
            "attempts": 3,
            "numbered": False,
        },
    ),
    "anthropic tool runner": (
        {
            "scope": "com.anthropic.sdk.python",
            "name": "anthropic.messages.tool_runner",
            "attributes": {"gen_ai.operation.name": "invoke_agent"},
        },
        {"category": Category.AGENT, "name": "", "agent": None},
    ),
    "anthropic tool": (
        {
            "name": "anthropic.custom_tool_use search",
            "attributes": {"gen_ai.operation.name": "execute_tool"},
        },
        {"category": Category.TOOL, "name": "search"},
    ),
    "mcp client": (
        {
            "name": "MCP send tools/call search",
            "kind": 3,
            "attributes": {"mcp.method.name": "tools/call"},
        },
        {"category": Category.TOOL, "name": "search", "server": None},
    ),
    "mcp server": (
        {
            "name": "tools/call search",
            "kind": 2,
            "resource": {"service.name": "weather-server"},
            "attributes": {
                "mcp.method.name": "tools/call",
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "search",
            },
        },
        {"category": Category.TOOL, "name": "search", "server": "weather-server"},
    ),
    "mcp listing": (
        {"kind": 3, "attributes": {"mcp.method.name": "tools/list"}},
        {"category": Category.OTHER},
    ),
    "langfuse generation": (
        {
            "attributes": {
                "langfuse.observation.type": "generation",
                "langfuse.observation.model.name": "gpt-4o",
                "langfuse.observation.usage_details": LANGFUSE_USAGE,
                "langfuse.observation.cost_details": '{"total": 0.5}',
                "langfuse.trace.metadata.tenant": '"acme"',
            }
        },
        {
            "category": Category.MODEL,
            "name": "gpt-4o",
            "tenant": "acme",
            "usage": Usage(120, 30, 64, None, 8, 500_000_000),
        },
    ),
    "langsmith tool": (
        {
            "name": "search",
            "attributes": {
                "langsmith.span.kind": "tool",
                "langsmith.metadata.session_id": "s-1",
            },
        },
        {"category": Category.TOOL, "name": "search", "session": "s-1"},
    ),
    "openinference chain": (
        {"attributes": {"openinference.span.kind": "CHAIN"}},
        {"category": Category.STEP},
    ),
    "openinference agent": (
        {"name": "support-agent", "attributes": {"openinference.span.kind": "AGENT"}},
        {"category": Category.AGENT, "name": "support-agent", "agent": "support-agent"},
    ),
    "openinference model": (
        {
            "attributes": {
                "openinference.span.kind": "LLM",
                "llm.invocation_parameters": '{"model": "gpt-4o-mini"}',
                "llm.model_name": "gpt-4o-mini-2026-02-01",
                "llm.token_count.prompt": 120,
                "metadata": '{"tenant": "acme", "user_id": "u", "thread_id": "t",'
                ' "lc_agent_name": "a"}',
            }
        },
        {
            "category": Category.MODEL,
            "name": "gpt-4o-mini",
            "response_model": "gpt-4o-mini-2026-02-01",
            "tenant": "acme",
            "user": "u",
            "session": "t",
            "agent": "a",
        },
    ),
    "openinference stream without usage": (
        {
            "attributes": {
                "openinference.span.kind": "LLM",
                "llm.output_messages.0.message.role": "assistant",
            }
        },
        {"category": Category.MODEL},
    ),
    "openinference preparation": (
        {"attributes": {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o"}},
        {"category": Category.STEP, "response_id": b""},
    ),
    "openinference failed model": (
        {"status": ERROR, "attributes": {"openinference.span.kind": "LLM"}},
        {"category": Category.MODEL, "failed": True},
    ),
    "openinference retriever": (
        {"name": "docs", "attributes": {"openinference.span.kind": "RETRIEVER"}},
        {"category": Category.RETRIEVAL, "name": "docs"},
    ),
    "openinference reranker": (
        {
            "attributes": {
                "openinference.span.kind": "RERANKER",
                "reranker.model_name": "rerank-3",
            }
        },
        {"category": Category.RETRIEVAL, "name": "rerank-3"},
    ),
    "openinference guardrail": (
        {"name": "no-pii", "attributes": {"openinference.span.kind": "GUARDRAIL"}},
        {"category": Category.GUARDRAIL, "name": "no-pii"},
    ),
    "dspy tool": (
        {
            "name": "search.__call__",
            "attributes": {"openinference.span.kind": "TOOL"},
        },
        {"category": Category.TOOL, "name": "search"},
    ),
    "dspy finish": (
        {
            "name": "finish.__call__",
            "scope": "openinference.instrumentation.dspy",
            "attributes": {"openinference.span.kind": "TOOL"},
        },
        {"category": Category.PSEUDO},
    ),
    "somebody's tool called finish": (
        {"attributes": {"openinference.span.kind": "TOOL", "tool.name": "finish"}},
        {"category": Category.TOOL},
    ),
    "smolagents answer": (
        {
            "attributes": {
                "openinference.span.kind": "TOOL",
                "tool.name": "final_answer",
            }
        },
        {"category": Category.PSEUDO, "call_id": b"", "arguments": b""},
    ),
    "handoff": (
        {
            "name": "handoff to billing",
            "attributes": {"openinference.span.kind": "TOOL"},
        },
        {"category": Category.PSEUDO},
    ),
    "transfer": (
        {
            "attributes": {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "transfer_to_billing",
            }
        },
        {"category": Category.PSEUDO},
    ),
    "a tool that transfers": (
        {
            "attributes": {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "bank_transfer",
            }
        },
        {"category": Category.TOOL},
    ),
    "adk merged tools": (
        {
            "name": "execute_tool (merged)",
            "attributes": {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "(merged tools)",
            },
        },
        {"category": Category.PSEUDO},
    ),
    "adk model behind a proxy": (
        {
            "scope": "gcp.vertex.agent",
            "attributes": {
                "gen_ai.operation.name": "generate_content",
                "gen_ai.system": "gcp.vertex.agent",
                "gen_ai.request.model": "openai/o9-imaginary",
                "gen_ai.usage.output_tokens": 38,
                "gen_ai.usage.reasoning.output_tokens": 8,
            },
        },
        {"provider": None, "usage": Usage(output=30, reasoning=8)},
    ),
    "adk gemini": (
        {
            "scope": "gcp.vertex.agent",
            "attributes": {
                "gcp.vertex.agent.llm_request": "{}",
                "gen_ai.request.model": "gemini-2.5-flash",
                "gen_ai.usage.output_tokens": 38,
                "gen_ai.usage.reasoning.output_tokens": 8,
            },
        },
        {"category": Category.MODEL, "usage": Usage(output=38, reasoning=8)},
    ),
    "semantic kernel": (
        {
            "scope": "semantic_kernel.functions.kernel_function",
            "attributes": {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "Weather-get_weather",
            },
        },
        {"category": Category.TOOL, "name": "get_weather"},
    ),
    "traceloop tool": (
        {
            "name": "search.tool",
            "attributes": {
                "traceloop.span.kind": "tool",
                "traceloop.association.properties.tenant": "acme",
                "traceloop.association.properties.session_id": "s-1",
            },
        },
        {"category": Category.TOOL, "name": "search", "tenant": "acme"}
        | {"session": "s-1"},
    ),
    "traceloop agent": (
        {"name": "support.agent", "attributes": {"traceloop.span.kind": "agent"}},
        {"category": Category.AGENT, "name": "support"},
    ),
    "traceloop of old": (
        {
            "attributes": {
                "llm.request.type": "chat",
                "gen_ai.system": "Langchain",
                "gen_ai.usage.prompt_tokens": 120,
            }
        },
        {"category": Category.MODEL, "provider": None, "usage": Usage(input=120)},
    ),
    "traceloop under langgraph": (
        {
            "attributes": {
                "gen_ai.operation.name": "execute_task",
                "traceloop.span.kind": "task",
            }
        },
        {"category": Category.STEP},
    ),
    "ai sdk 5 model": (
        {
            "attributes": {
                "ai.operationId": "ai.streamText.doStream",
                "ai.model.provider": "openai.chat",
                "ai.model.id": "gpt-4o",
                "ai.usage.promptTokens": 120,
                "ai.usage.cachedInputTokens": 64,
                "ai.response.msToFirstChunk": 9.5,
                "ai.telemetry.metadata.tenant": "acme",
                "ai.telemetry.functionId": "support",
            }
        },
        {
            "category": Category.MODEL,
            "name": "gpt-4o",
            "provider": "openai",
            "ttft_us": 9500,
            "tenant": "acme",
            "agent": "support",
        },
    ),
    "ai sdk 5 tool": (
        {"attributes": {"ai.operationId": "ai.toolCall", "ai.toolCall.name": "search"}},
        {"category": Category.TOOL, "name": "search"},
    ),
    "ai sdk 5 root": (
        {"attributes": {"ai.operationId": "ai.generateText"}},
        {"category": Category.AGENT},
    ),
    "ai sdk 7 step": (
        {
            "attributes": {
                "gen_ai.operation.name": "agent_step",
                "ai.settings.context.tenant": "acme",
                "ai.settings.context.userId": "u",
            }
        },
        {"category": Category.STEP, "tenant": "acme", "user": "u"},
    ),
    "pydantic ai 1 tool": (
        {"name": "running tool: search", "attributes": {"gen_ai.tool.name": "search"}},
        {"category": Category.TOOL, "name": "search"},
    ),
    "pydantic ai attempt": (
        {
            "name": "model request attempt gpt-4o",
            "status": ERROR,
            "attributes": {
                "gen_ai.request.model": "gpt-4o",
                "pydantic_ai.model_request.attempt": 0,
            },
        },
        {"category": Category.MODEL, "name": "gpt-4o", "model_attempt": True},
    ),
    "strands": (
        {
            "scope": "strands.telemetry.tracer",
            "attributes": {
                "gen_ai.operation.name": "chat",
                "gen_ai.system": "strands-agents",
                "gen_ai.server.time_to_first_token": 690,
                "gen_ai.usage.input_tokens": 120,
                "gen_ai.usage.prompt_tokens": 120,
            },
        },
        {"provider": None, "ttft_us": 690_000, "usage": Usage(input=120)},
    ),
    "a server's own first token": (
        {
            "attributes": {
                "gen_ai.operation.name": "chat",
                "gen_ai.server.time_to_first_token": 0.69,
            }
        },
        {"ttft_us": 690_000},
    ),
    "llama index first token": (
        {
            "attributes": {
                "openinference.span.kind": "LLM",
                "llm.output_messages.0.message.role": "assistant",
            },
            "events": [
                ("First Token Stream Event", {}),
                ("First Token Stream Event", {}),
            ],
        },
        {"ttft_us": 40_000},
    ),
    "langfuse first token": (
        {
            "start_time_unix_nano": 1795172577 * 10**9,
            "end_time_unix_nano": 1795172579 * 10**9,
            "attributes": {
                "langfuse.observation.type": "generation",
                "langfuse.observation.completion_start_time": (
                    '"2026-11-20T11:02:58.500000Z"'
                ),
            },
        },
        {"ttft_us": 1_500_000},
    ),
    "haystack model": (
        {
            "name": "haystack.agent.step.llm",
            "attributes": {"haystack.agent.step.llm.output": HAYSTACK_ANSWER},
        },
        {
            "category": Category.MODEL,
            "name": "gpt-4o-mini-2026-02-01",
            "provider": None,
        },
    ),
    "haystack tool": (
        {
            "name": "haystack.agent.step.tool",
            "attributes": {"haystack.tool.name": "search", "haystack.tool.error": True},
        },
        {
            "category": Category.TOOL,
            "name": "search",
            "failed": True,
            "failure_class": "unknown",
        },
    ),
    "haystack agent": (
        {"name": "haystack.agent.run"},
        {"category": Category.AGENT, "name": ""},
    ),
    "litellm": (
        {
            "attributes": {
                "gen_ai.operation.name": "chat",
                "llm.request.type": "completion",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.cost.total_cost": 3.6e-05,
                "metadata.usage_object": LITELLM_USAGE,
                "metadata.requester_metadata": "{'tenant': 'acme'}",
                "metadata.user_api_key_team_id": "",
                "llm.user": "u1",
            }
        },
        {"tenant": "acme", "user": "u1", "usage": Usage(120, 30, 64, None, 8, 36_000)},
    ),
    "celery retry": (
        {
            "name": "run/tools.enrich",
            "kind": 5,
            "attributes": {
                "celery.action": "run",
                "celery.task_name": "tools.enrich",
                "celery.state": "RETRY",
                "celery.retries": 1,
                "celery.retry.reason": "Retry in 0.05s: ConnectionError('reset')",
                "messaging.message.id": "m-1",
            },
        },
        {
            "category": Category.TOOL,
            "name": "tools.enrich",
            "failed": True,
            "failure_class": "transport",
            "attempts": 2,
            "numbered": True,
        },
    ),
    "celery publish": (
        {"kind": 4, "attributes": {"celery.action": "apply_async"}},
        {"category": Category.PUBLISH},
    ),
    "queue publish": (
        {"kind": 4, "attributes": {"messaging.destination": "topic"}},
        {"category": Category.PUBLISH},
    ),
    "queue receive": (
        {"kind": 5, "attributes": {"messaging.destination": "topic"}},
        {"category": Category.OTHER},
    ),
    "http client": (
        {
            "name": "POST",
            "kind": 3,
            "attributes": {
                "http.request.method": "POST",
                "url.full": "http://tools/crm?key=secret",
                "http.response.status_code": 429,
                "http.request.resend_count": 1,
            },
        },
        {
            "category": Category.HTTP,
            "name": "POST http://tools/crm",
            "failed": True,
            "failure_class": "rate_limited",
            "attempts": 2,
            "numbered": True,
        },
    ),
    "http server": (
        {"kind": 2, "attributes": {"http.request.method": "POST"}},
        {"category": Category.HTTP},
    ),
    "rpc": (
        {"kind": 3, "attributes": {"rpc.system": "grpc", "rpc.grpc.status_code": 14}},
        {"category": Category.RPC, "failed": True, "failure_class": "transport"},
    ),
    "rpc that went well": (
        {"kind": 3, "attributes": {"rpc.system": "grpc", "rpc.grpc.status_code": 0}},
        {"category": Category.RPC, "failed": False},
    ),
    "database": (
        {"kind": 3, "attributes": {"db.system.name": "postgresql"}},
        {"category": Category.DATABASE},
    ),
    "our own call": (
        {
            "name": "search",
            "attributes": {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "search",
                "switchgear.outcome": "fallback",
                "switchgear.decision": "fallback",
                "switchgear.rule": "r-1",
                "switchgear.lease.id": "l-1",
                "switchgear.policy.version": 42,
                "switchgear.fallback.from": "search_live",
            },
        },
        {
            "outcome": "fallback",
            "decision": "fallback",
            "rule": "r-1",
            "lease": "l-1",
            "policy_version": 42,
            "fallbacks": (("search_live", "search"),),
        },
    ),
    "our own attempt": (
        {
            "name": "attempt 2",
            "attributes": {
                "switchgear.attempt": 2,
                "switchgear.backoff_ms": 1500,
                "switchgear.failure_class": "timeout",
            },
        },
        {
            "category": Category.TOOL,
            "name": "",
            "attempts": 2,
            "numbered": True,
            "backoff_us": 1_500_000,
            "failed": True,
            "failure_class": "timeout",
        },
    ),
    "our own attempt of a model": (
        {"attributes": {"gen_ai.operation.name": "chat", "switchgear.attempt": 1}},
        {"category": Category.MODEL, "name": "", "attempts": 1, "numbered": True},
    ),
    "smolagents agent": (
        {"name": "CodeAgent.run", "attributes": {"openinference.span.kind": "AGENT"}},
        {"category": Category.AGENT, "name": "CodeAgent"},
    ),
    "tool of a provider's sdk": (
        {
            "attributes": {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.provider.name": "anthropic",
            }
        },
        {"category": Category.TOOL, "provider": None},
    ),
    "our own refusal": (
        {
            "attributes": {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "search",
                "switchgear.decision": "refuse",
                "switchgear.refusal_reason": "quota",
            }
        },
        {"failed": True, "failure_class": "refused", "refusal_reason": "quota"},
    ),
    "our own cache": (
        {
            "attributes": {
                "gen_ai.operation.name": "execute_tool",
                "switchgear.decision": "cache",
            }
        },
        {"cache_hit": True, "failed": False},
    ),
}


@pytest.mark.parametrize(("said", "wanted"), DIALECTS.values(), ids=DIALECTS)
def test_a_dialect_is_understood(said, wanted):
    span = understood(**said)

    # Prices are another test's concern.
    got = {name: getattr(span, name) for name in wanted}
    if "usage" in wanted and wanted["usage"].cost is None:
        got["usage"] = Usage(
            *[getattr(span.usage, n) for n in Usage.__struct_fields__[:5]]
        )
    assert got == wanted


# Identity


def call_id(**said):
    return tool(**said).call_id


@pytest.mark.parametrize(
    "said",
    [
        {"attributes": {"gen_ai.tool.call.id": "call-1"}},
        {"attributes": {"ai.toolCall.id": "call-1"}},
        {"attributes": {"tool_call.id": "call-1"}},
        {"attributes": {"tool.id": "call-1"}},
        {"attributes": {"messaging.message.id": "call-1"}},
        {"attributes": {"switchgear.call.id": "call-1"}},
        {"attributes": {"output.value": '{"data": {"tool_call_id": "call-1"}}'}},
        {"events": [("gen_ai.tool.message", {"id": "call-1", "content": "{}"})]},
    ],
    ids=lambda said: str(next(iter(said.values())))[:40],
)
def test_one_call_id_is_one_however_it_was_sent(said):
    assert call_id(**said) == call_id(attributes={"gen_ai.tool.call.id": "call-1"})
    assert len(call_id(**said)) == 8


def test_our_own_call_id_names_calls_of_every_kind():
    said = {"switchgear.call.id": "call-1", "gen_ai.tool.call.id": "other"}

    assert (
        tool(said).call_id
        == model(said).call_id
        == call_id(attributes={"gen_ai.tool.call.id": "call-1"})
    )


@pytest.mark.parametrize("said", ["<not specified>", "", "None"])
def test_a_placeholder_is_no_call_id(said):
    assert call_id(attributes={"gen_ai.tool.call.id": said}) == b""


def arguments(said, key="gen_ai.tool.call.arguments", **fields):
    return tool({key: said}, **fields).arguments


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1, "b": [2]}', '{ "b":[2], "a":1 }'),
        ('{"args": [], "kwargs": {"a": 1}}', '{"a": 1}'),
        ('{"kwargs": {"a": 1}}', '{"a": 1}'),
        (
            '{"input_str": "x", "tags": ["step:1"], "metadata": {"run": 1}}',
            '{"input_str": "x", "tags": ["step:2"], "metadata": {"run": 2}}',
        ),
        ({"a": 1}, '{"a": 1}'),
        (" plain text ", "plain text"),
    ],
)
def test_equal_arguments_have_one_fingerprint(one, other):
    assert arguments(one) == arguments(other) != b""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1}', '{"a": 2}'),
        ('{"args": [1], "kwargs": {"a": 1}}', '{"args": [2], "kwargs": {"a": 1}}'),
        ("[1, 2]", "[2, 1]"),
        ('{"cut": "in the mi', '{"cut": "in the middl'),
    ],
)
def test_other_arguments_have_another_fingerprint(one, other):
    assert arguments(one) != arguments(other)


def test_a_fingerprint_tells_nothing_without_the_project_s_key():
    mine, other = (
        tool({"input.value": "x"}, read=reading(fingerprint_key=letter * 32))
        for letter in (b"a", b"b")
    )

    assert mine.arguments != other.arguments


def test_arguments_may_come_in_an_event():
    said = {"events": [("gen_ai.tool.message", {"id": "c", "content": '{"a": 1}'})]}

    assert tool(**said).arguments == arguments('{"a":1}')


def test_no_arguments_have_no_fingerprint():
    assert tool().arguments == b""
    assert tool(events=[("gen_ai.tool.message", {"id": "c"})]).arguments == b""


@pytest.mark.parametrize(
    "said",
    [
        {"gen_ai.response.id": "chatcmpl-1"},
        {"ai.response.id": "chatcmpl-1"},
        {"output.value": '{"generations": [], "id": "chatcmpl-1"}'},
        {"output.value": '{"id":"chatcmpl-1"}'},
    ],
)
def test_one_response_id_is_one_however_it_was_sent(said):
    assert (
        model(said).response_id
        == model({"gen_ai.response.id": "chatcmpl-1"}).response_id
    )
    assert len(model(said).response_id) == 16


def test_a_failed_model_span_has_no_response_id():
    assert model({"gen_ai.response.id": "uuid"}, status=ERROR).response_id == b""


def test_an_answer_without_the_provider_s_id_has_none():
    assert model({"output.value": '{"id": "run-1"}'}).response_id == b""


# Providers


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("OpenAI", "openai"),
        ("openai.chat", "openai"),
        ("az.ai.openai", "azure.ai.openai"),
        ("azure", "azure.ai.openai"),
        ("vertex_ai", "gcp.vertex_ai"),
        ("google.generative-ai", "gcp.gemini"),
        ("gemini", "gcp.gemini"),
        ("xai", "x_ai"),
        ("mistralai", "mistral_ai"),
        ("mistral.chat", "mistral_ai"),
        ("amazon-bedrock", "aws.bedrock"),
        ("langgraph", None),
        ("microsoft.agent_framework", None),
    ],
)
def test_a_provider_has_one_name(said, wanted):
    assert model({"gen_ai.provider.name": said}).provider == wanted


def test_a_framework_leaves_the_word_to_the_next_alias():
    said = {"gen_ai.provider.name": "langchain", "llm.system": "openai"}

    assert model(said).provider == "openai"
    assert model({"gen_ai.provider.name": 7}).provider is None
    assert model({"gen_ai.provider.name": " "}).provider is None


# Attempts


@pytest.mark.parametrize(
    ("said", "attempts", "numbered"),
    [
        ({"retry.attempt": 3}, 3, True),
        ({"switchgear.attempt": 2}, 2, True),
        ({"call_attempts": 3}, 3, False),
        ({"celery.retries": 2}, 3, True),
        ({"http.request.resend_count": 2}, 3, False),
        ({"retry.attempt": 1, "http.request.resend_count": 4}, 5, True),
        ({"retry.attempt": 10**12}, 10_000, True),
        ({"pydantic_ai.tool.retry.attempt": 2}, 0, False),
        ({"hidden_params": '{"x-litellm-attempted-retries": 2}'}, 0, False),
    ],
    ids=str,
)
def test_the_largest_count_any_evidence_gives(said, attempts, numbered):
    span = tool(said)

    assert (span.attempts, span.numbered) == (attempts, numbered)


@pytest.mark.parametrize(
    ("name", "key", "waits", "us"),
    [
        ("gen_ai.retry", "backoff_seconds", [0.5, 1.0], 1_500_000),
        ("retry", "retry.sleep_s", [0.25], 250_000),
        ("retry", "retry.delay_s", ["0.25"], 250_000),
        ("retry", "retry.backoff_ms", [250], 250_000),
        ("retry", "nothing", [1], None),
    ],
)
def test_every_retry_event_is_one_more_attempt(name, key, waits, us):
    span = tool(events=[(name, {key: wait}) for wait in waits])

    assert (span.attempts, span.numbered) == (len(waits) + 1, False)
    assert span.backoff_us == us


def test_waiting_may_be_an_attribute():
    assert tool({"retry.sleep_s": 2}).backoff_us == 2_000_000
    assert tool({"switchgear.backoff_ms": 10**15}).backoff_us == 86_400_000_000


def test_fallbacks_come_from_attributes_and_events():
    event = ("fallback", {"fallback.from": "a", "fallback.to": "b"})
    span = tool(
        {"fallback.from": "b", "fallback.to": "c"},
        events=[event, ("fallback", {"fallback.from": "x"})],
    )

    assert span.fallbacks == (("a", "b"), ("b", "c"))
    assert tool(events=[event]).fallbacks == (("a", "b"),)


def test_a_hit_in_a_cache_may_be_said_in_words():
    assert tool({"tool.cache.hit": "true"}).cache_hit
    assert not tool({"tool.cache.hit": "perhaps"}).cache_hit
    assert not tool({"tool.cache.hit": 0.5}).cache_hit
    assert tool({"cache.hit": 1}).cache_hit


@pytest.mark.parametrize(
    "said", ["soon", "2026-11-20T11:02:58", "2020-01-01T00:00:00Z"]
)
def test_an_unusable_first_token_is_silence(said):
    attributes = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.completion_start_time": said,
    }

    assert understood(attributes, start_time_unix_nano=START_NS).ttft_us is None
