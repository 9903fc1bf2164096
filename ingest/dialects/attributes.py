"""Which attribute keys mean what: one ordered table for every convention we read.

A line of ``FIELDS`` is a field, how its value is read, and the keys that carry it, the
most trustworthy first: the first key with a usable value wins and no two are ever
added. ``key#path`` reads inside a value that is itself a document (JSON or a Python
literal); numbers in the path index lists. Adding an alias is adding one line.
"""

from __future__ import annotations

from typing import NamedTuple

# Where one sender puts everything it was given.
TRACELOOP = "traceloop.association.properties."


class Field(NamedTuple):
    """One thing we want to know of a span, and where senders put it."""

    name: str  # of a field of ``facts.Facts``
    reader: str  # a name of ``readers.READERS``
    keys: tuple[str, ...]


# Who called, for whom. Configured tenant keys go before these.
WHO = (
    Field(
        "tenant",
        "word",
        (
            "tenant.id",
            "tenant",
            "app.tenant.id",
            "tenant_id",
            TRACELOOP + "tenant",
            TRACELOOP + "tenant_id",
            TRACELOOP + "organization_id",
            "langfuse.trace.metadata.tenant",
            "langfuse.trace.metadata.tenant_id",
            "langsmith.metadata.tenant",
            "langsmith.metadata.tenant_id",
            "ai.settings.context.tenant",
            "ai.settings.context.tenantId",
            "ai.telemetry.metadata.tenant",
            "ai.telemetry.metadata.tenantId",
            "metadata#tenant",
            "metadata#tenant_id",
            "metadata.user_api_key_team_id",
            "metadata.user_api_key_org_id",
            "metadata.requester_metadata#tenant",
            "metadata.requester_metadata#tenant_id",
        ),
    ),
    Field(
        "tenant_copy",
        "word",
        ("baggage.tenant.id", "baggage.tenant", "baggage.tenant_id"),
    ),
    Field(
        "session",
        "text",
        (
            "gen_ai.conversation.id",
            "session.id",
            "langfuse.session.id",
            TRACELOOP + "session_id",
            "ai.settings.context.sessionId",
            "ai.telemetry.metadata.sessionId",
            "langsmith.metadata.session_id",
            "langsmith.trace.session_id",
            "gcp.vertex.agent.session_id",
            "metadata#session_id",
            "metadata#thread_id",
            TRACELOOP + "thread_id",
            "messaging.message.conversation_id",
            "mcp.session.id",  # of the transport, not of the conversation
        ),
    ),
    Field(
        "user",
        "text",
        (
            "user.id",
            "enduser.id",
            "langfuse.user.id",
            TRACELOOP + "user_id",
            "ai.settings.context.userId",
            "ai.telemetry.metadata.userId",
            "langsmith.metadata.user_id",
            "llm.user",
            "metadata.user_api_key_user_id",
            "metadata.user_api_key_end_user_id",
            "metadata#user_id",
        ),
    ),
    Field(
        "agent",
        "word",
        (
            "gen_ai.agent.name",
            "agent.name",
            "agent_name",
            "graph.node.id",
            "ai.telemetry.functionId",
            "langsmith.metadata.lc_agent_name",
            TRACELOOP + "lc_agent_name",
            "metadata#lc_agent_name",
            "gen_ai.workflow.name",
        ),
    ),
    Field("environment_said", "word", ("langfuse.environment",)),
)

# What our own client says; it beats inference.
POLICY = (
    Field("outcome", "word", ("switchgear.outcome",)),
    Field("decision", "word", ("switchgear.decision",)),
    Field("rule", "word", ("switchgear.rule",)),
    Field("own_call", "text", ("switchgear.call.id",)),
    Field("lease", "text", ("switchgear.lease.id",)),
    Field("policy_version", "count", ("switchgear.policy.version",)),
    Field("fallback_from", "word", ("switchgear.fallback.from", "fallback.from")),
    Field("fallback_to", "word", ("switchgear.fallback.to", "fallback.to")),
    Field(
        "cached",
        "flag",
        (
            "cache.hit",
            "cache_hit",
            "tool.cache.hit",
            "gen_ai.cache.hit",
            "llm.cache.hit",
        ),
    ),
)

REFUSAL = (
    Field("refusal", "word", ("switchgear.refusal_reason",)),
    Field("own_class", "word", ("switchgear.failure_class",)),
)

# How often it was tried. Not evidence: ``pydantic_ai.tool.retry.attempt`` numbers what
# the model asked again; LiteLLM's ``x-litellm-attempted-*`` have roots of their own.
ATTEMPTS = (
    Field("attempt", "count", ("switchgear.attempt", "retry.attempt")),
    Field("attempts_total", "count", ("call_attempts",)),
    Field("celery_retries", "count", ("celery.retries",)),
    Field("resends", "count", ("http.request.resend_count", "http.resend_count")),
    Field("backoff_ms", "number", ("switchgear.backoff_ms", "retry.backoff_ms")),
    Field(
        "backoff_s",
        "number",
        ("retry.sleep_s", "retry.delay_s", "retry.backoff_seconds"),
    ),
)

# How it went.
FAILURE = (
    Field("error_type", "text", ("error.type", "exception.type")),
    Field(
        "error_message",
        "text",
        ("error.message", "langfuse.observation.status_message", "exception.message"),
    ),
    Field(
        "status_code",
        "count",
        ("http.response.status_code", "http.status_code", "error.code"),
    ),
    Field(
        "rpc_code",
        "text",
        (
            "rpc.response.status_code",
            "rpc.jsonrpc.error_code",
            "jsonrpc.error.code",
            "rpc.grpc.status_code",
        ),
    ),
    Field("level", "text", ("langfuse.observation.level",)),
    Field(
        "told_failed",
        "flag",
        ("haystack.tool.error", "mcp.tool.result.is_error", "tool.is_error"),
    ),
    Field(
        "told_status",
        "text",
        ("gen_ai.tool.status", "gen_ai.task.status", "celery.state"),
    ),
    Field("retry_reason", "text", ("celery.retry.reason",)),
    Field(
        "failure_stage",
        "text",
        ("pydantic_ai.tool.failure_stage", "pydantic_ai.tool.retry.cause"),
    ),
)

TOOL = (
    Field(
        "target",
        "word",
        (
            "gen_ai.tool.name",
            "ai.toolCall.name",
            "tool.name",
            "haystack.tool.name",
            "traceloop.entity.name",
            "celery.task_name",
            "mcp.tool.name",
        ),
    ),
    Field(
        "tool_call",
        "text",
        (
            "gen_ai.tool.call.id",
            "ai.toolCall.id",
            "tool_call.id",
            "tool.id",
            "output.value#data.tool_call_id",
            "messaging.message.id",
            "messaging.message_id",
        ),
    ),
    Field(
        "tool_arguments",
        "value",
        (
            "gen_ai.tool.call.arguments",
            "tool_arguments",
            "ai.toolCall.args",
            "ai.toolCall.input",
            "traceloop.entity.input",
            "langfuse.observation.input",
            "haystack.agent.step.tool.input",
            "gcp.vertex.agent.tool_call_args",
            "input.value",
            "gen_ai.prompt",
        ),
    ),
    Field(
        "result",
        "string",
        (
            "gen_ai.tool.call.result",
            "tool_response",
            "ai.toolCall.result",
            "ai.toolCall.output",
            "traceloop.entity.output",
            "langfuse.observation.output",
            "haystack.agent.step.tool.output",
            "gcp.vertex.agent.tool_response",
            "output.value",
        ),
    ),
    Field("server", "word", ("mcp.server.name", "gen_ai.tool.server.name")),
    Field("units", "number", ("switchgear.units",)),
)

NETWORK = (
    Field("method", "word", ("http.request.method", "http.method")),
    Field("url", "text", ("url.full", "http.url", "http.route", "url.path")),
)

# Read once per resource.
SERVICE = ("service.name",)
ENVIRONMENT = (
    "deployment.environment.name",
    "deployment.environment",
    "langfuse.environment",
)
RESOURCE_TENANT = ("tenant.id", "tenant", "tenant_id")
