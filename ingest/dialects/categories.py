"""What a span is: the keys that say it, in order, and what their values mean.

The first key whose value is in its table decides; values compare in lower case.
"""

from __future__ import annotations

from ingest.records import Category

_TOOL, _MODEL, _AGENT = Category.TOOL, Category.MODEL, Category.AGENT
_STEP, _WORKFLOW, _OTHER = Category.STEP, Category.WORKFLOW, Category.OTHER

# Kinds that Langfuse, LangSmith and OpenInference share.
_OBSERVATIONS = {
    "tool": _TOOL,
    "generation": _MODEL,
    "llm": _MODEL,
    "agent": _AGENT,
    "chain": _STEP,
    "span": _STEP,
    "event": _OTHER,
    "evaluator": _OTHER,
    "prompt": _OTHER,
    "parser": _STEP,
    "retriever": Category.RETRIEVAL,
    "reranker": Category.RETRIEVAL,
    "embedding": Category.EMBEDDING,
    "guardrail": Category.GUARDRAIL,
}

CATEGORIES: dict[str, dict[str, Category]] = {
    "mcp.method.name": {"tools/call": _TOOL},
    "langfuse.observation.type": _OBSERVATIONS,
    "langsmith.span.kind": _OBSERVATIONS,
    "openinference.span.kind": _OBSERVATIONS,
    "gen_ai.operation.name": {
        "execute_tool": _TOOL,
        "chat": _MODEL,
        "chat.completions": _MODEL,
        "chat.streaming_completions": _MODEL,
        "text.completions": _MODEL,
        "text.streaming_completions": _MODEL,
        "generate_content": _MODEL,
        "text_completion": _MODEL,
        "embeddings": Category.EMBEDDING,
        "retrieval": Category.RETRIEVAL,
        "rerank": Category.RETRIEVAL,
        "guardrail": Category.GUARDRAIL,
        "invoke_agent": _AGENT,
        "invoke_workflow": _WORKFLOW,
        "create_agent": _OTHER,  # build time, not a run
        "agent_step": _STEP,
        "execute_event_loop_cycle": _STEP,
        "execute_task": _STEP,
        "plan": _STEP,
        "create_memory": _OTHER,
        "search_memory": _OTHER,
        "update_memory": _OTHER,
        "upsert_memory": _OTHER,
        "delete_memory": _OTHER,
    },
    "ai.operationId": {
        "ai.toolcall": _TOOL,
        "ai.generatetext": _AGENT,
        "ai.streamtext": _AGENT,
        "ai.generateobject": _AGENT,
        "ai.streamobject": _AGENT,
        "ai.generatetext.dogenerate": _MODEL,
        "ai.streamtext.dostream": _MODEL,
        "ai.generateobject.dogenerate": _MODEL,
        "ai.streamobject.dostream": _MODEL,
        "ai.embed": _STEP,
        "ai.embedmany": _STEP,
        "ai.embed.doembed": Category.EMBEDDING,
        "ai.embedmany.doembed": Category.EMBEDDING,
    },
    "traceloop.span.kind": {
        "tool": _TOOL,
        "agent": _AGENT,
        "workflow": _WORKFLOW,
        "task": _STEP,
    },
    "llm.request.type": {
        "chat": _MODEL,
        "completion": _MODEL,
        "embedding": Category.EMBEDDING,
        "rerank": Category.RETRIEVAL,
    },
    "celery.action": {"run": _TOOL, "apply_async": Category.PUBLISH},
}

# Senders that say what a span is only by its name.
SPAN_NAMES: dict[str, Category] = {
    "haystack.agent.step.tool": _TOOL,
    "haystack.agent.step.llm": _MODEL,
    "haystack.agent.run": _AGENT,
    "agent run": _AGENT,  # Pydantic AI 1
    "haystack.agent.step": _STEP,
    "haystack.pipeline.run": _WORKFLOW,
    "haystack.component.run": _STEP,
}

# Structure by the mere presence of a key, when nothing above decided.
PRESENT: dict[str, Category] = {
    "mcp.method.name": _OTHER,  # every method but tools/call
    "pydantic_ai.model_request.attempt": _MODEL,
    "switchgear.attempt": _TOOL,  # of our client; of a model it names the operation
    "gcp.vertex.agent.llm_request": _MODEL,
    "gen_ai.tool.name": _TOOL,  # Pydantic AI 1 names no operation
    "rpc.system": Category.RPC,
    "rpc.system.name": Category.RPC,
    "db.system.name": Category.DATABASE,
    "db.system": Category.DATABASE,
    "http.request.method": Category.HTTP,
    "http.method": Category.HTTP,
    "messaging.system": _OTHER,
    "messaging.destination": _OTHER,
    "messaging.destination.name": _OTHER,
}

# Names of tools that run nothing: the framework's own moves.
PSEUDO_TOOLS = frozenset({"final_answer", "(merged tools)", "(merged)"})
PSEUDO_PREFIXES = ("transfer_to_", "handoff to ")
# Only in these scopes is the name not somebody's real tool.
SCOPED_PSEUDO_TOOLS = frozenset(
    {
        ("openinference.instrumentation.dspy", "finish"),
        ("openinference.instrumentation.llama_index", "handoff"),
    }
)

# In these scopes a tool is named ``Plugin-function``.
PLUGIN_SCOPES = ("semantic_kernel",)
# Here tokens of reasoning were added to an output that already held them, except for
# the models of this name.
REASONING_TWICE_SCOPE = "gcp.vertex.agent"
REASONING_ONCE_MODEL = "gemini"

# What senders put around a tool's name in the name of its span.
NAME_PREFIXES = (
    "execute_tool ",
    "running tool: ",
    "running tool ",
    "MCP send tools/call ",
    "tools/call ",
    "anthropic.custom_tool_use ",
    "run/",
)
AGENT_PREFIX = "invoke_agent "
AGENT_SUFFIXES = (".agent", ".run")
NAME_SUFFIXES = (".tool", ".run", ".__call__")

# The provider's own SDK: where two spans tell of one answer, it is right.
NATIVE_SCOPES = ("com.anthropic.sdk", "com.anthropic.claude-platform")
# ``gen_ai.server.time_to_first_token`` is seconds, but milliseconds here.
MILLISECOND_SCOPES = ("strands.telemetry.tracer",)
# An exception event means failure even where the status says OK.
EXCEPTION_IS_FAILURE_SCOPES = ("langsmith",)
# A failed model span with this key is an attempt of its own.
MODEL_ATTEMPT_KEY = "pydantic_ai.model_request.attempt"

# Span events.
RETRY_EVENTS = frozenset({"retry", "gen_ai.retry"})
FALLBACK_EVENT = "fallback"
EXCEPTION_EVENT = "exception"
TOOL_MESSAGE_EVENT = "gen_ai.tool.message"
FIRST_TOKEN_EVENTS = frozenset(
    {
        "First Token Stream Event",
        "llm.content.completion.chunk",
        "gen_ai.content.completion.chunk",
        "ai.stream.firstChunk",
        "gen_ai.first_token",
    }
)
# Seconds of waiting that a retry event tells, and the unit of each key.
EVENT_BACKOFF_S: tuple[tuple[str, float], ...] = (
    ("retry.sleep_s", 1.0),
    ("retry.delay_s", 1.0),
    ("backoff_seconds", 1.0),
    ("retry.backoff_seconds", 1.0),
    ("retry.backoff_ms", 0.001),
    ("backoff_ms", 0.001),
)

# Values that mean "no id".
NO_ID = frozenset({"<not specified>", "None", "null", "unknown"})
