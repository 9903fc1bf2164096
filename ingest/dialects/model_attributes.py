"""What models and the containers around them say: names, usage, cost, first token.

The table of ``attributes`` goes on here; the same rules hold.
"""

from __future__ import annotations

from ingest.dialects.attributes import TRACELOOP, Field

# Documents in which some senders put everything.
_HAYSTACK = "haystack.agent.step.llm.output#replies.0.meta."
_LANGFUSE = "langfuse.observation.usage_details#"
_LITELLM = "metadata.usage_object#"

# Models, embeddings, and the containers that restate what models used.
MODEL = (
    Field(
        "provider",
        "provider",
        (
            "gen_ai.provider.name",
            "llm.provider",
            "llm.system",
            "gen_ai.system",
            "ai.model.provider",
            "error.llm_provider",
            TRACELOOP + "ls_provider",
        ),
    ),
    Field(
        "request_model",
        "word",
        (
            "gen_ai.request.model",
            "llm.request.model_name",
            "ai.model.id",
            "litellm.provider.model",
            "langfuse.observation.model.name",
            "llm.invocation_parameters#model",
            "llm.invocation_parameters#model_name",
            "llm.model_name",
            "embedding.model_name",
            "reranker.model_name",
            "model_name",  # of Pydantic AI's agents
            _HAYSTACK + "model",
        ),
    ),
    Field(
        "response_model",
        "word",
        (
            "gen_ai.response.model",
            "llm.response.model_name",
            "ai.response.model",
            "llm.model_name",
            "langfuse.observation.model.name",
            _HAYSTACK + "model",
        ),
    ),
    Field("answer_id", "text", ("gen_ai.response.id", "ai.response.id")),
    Field(
        "input",
        "count",
        (
            "gen_ai.usage.input_tokens",
            "llm.token_count.prompt",
            "ai.usage.inputTokens",
            "ai.usage.promptTokens",
            "ai.usage.tokens",
            "gen_ai.usage.prompt_tokens",
            "llm.usage.prompt_tokens",
            _LANGFUSE + "prompt_tokens",
            _LANGFUSE + "input_tokens",
            _LANGFUSE + "input",
            _HAYSTACK + "usage.prompt_tokens",
            _HAYSTACK + "usage.input_tokens",
            _LITELLM + "prompt_tokens",
        ),
    ),
    Field(
        "output",
        "count",
        (
            "gen_ai.usage.output_tokens",
            "llm.token_count.completion",
            "ai.usage.outputTokens",
            "ai.usage.completionTokens",
            "gen_ai.usage.completion_tokens",
            "llm.usage.completion_tokens",
            _LANGFUSE + "completion_tokens",
            _LANGFUSE + "output_tokens",
            _LANGFUSE + "output",
            _HAYSTACK + "usage.completion_tokens",
            _HAYSTACK + "usage.output_tokens",
            _LITELLM + "completion_tokens",
        ),
    ),
    Field(
        "cache_read",
        "count",
        (
            "gen_ai.usage.cache_read.input_tokens",
            "llm.token_count.prompt_details.cache_read",
            "ai.usage.cachedInputTokens",
            "ai.usage.inputTokenDetails.cacheReadTokens",
            "gen_ai.usage.cache_read_input_tokens",
            "gen_ai.usage.details.cache_read_tokens",
            "gen_ai.usage.details.cache_read_input_tokens",
            "langsmith.metadata.usage_metadata#input_token_details.cache_read",
            _LANGFUSE + "prompt_tokens_details.cached_tokens",
            _LANGFUSE + "cache_read_input_tokens",
            _LANGFUSE + "input_cached_tokens",
            _HAYSTACK + "usage.prompt_tokens_details.cached_tokens",
            _HAYSTACK + "usage.cache_read_input_tokens",
            _LITELLM + "prompt_tokens_details.cached_tokens",
            _LITELLM + "cache_read_input_tokens",
        ),
    ),
    Field(
        "cache_write",
        "count",
        (
            "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.cache_creation.input_tokens",
            "llm.token_count.prompt_details.cache_write",
            "ai.usage.inputTokenDetails.cacheWriteTokens",
            "gen_ai.usage.cache_creation_input_tokens",
            "gen_ai.usage.cache_write_input_tokens",
            "gen_ai.usage.details.cache_write_tokens",
            _LANGFUSE + "cache_creation_input_tokens",
            _HAYSTACK + "usage.cache_creation_input_tokens",
            _LITELLM + "cache_creation_input_tokens",
        ),
    ),
    Field(
        "reasoning",
        "count",
        (
            "gen_ai.usage.reasoning.output_tokens",
            "llm.token_count.completion_details.reasoning",
            "ai.usage.reasoningTokens",
            "ai.usage.outputTokenDetails.reasoningTokens",
            "gen_ai.usage.reasoning_tokens",
            "gen_ai.usage.details.reasoning_tokens",
            "langsmith.metadata.usage_metadata#output_token_details.reasoning",
            _LANGFUSE + "completion_tokens_details.reasoning_tokens",
            _LANGFUSE + "output_reasoning_tokens",
            _HAYSTACK + "usage.completion_tokens_details.reasoning_tokens",
            _LITELLM + "completion_tokens_details.reasoning_tokens",
        ),
    ),
    Field(
        "cost_usd",
        "number",
        (
            "gen_ai.usage.cost.amount",
            "gen_ai.cost.total_cost",
            "gen_ai.usage.cost",
            "llm.cost.total",
            "langfuse.observation.cost_details#total",
            "operation.cost",
            "hidden_params#response_cost",
        ),
    ),
    Field("cost_currency", "text", ("gen_ai.usage.cost.currency",)),
    Field(
        "ttft_s",
        "number",
        (
            "gen_ai.response.time_to_first_chunk",
            "gen_ai.client.operation.time_to_first_chunk",
        ),
    ),
    Field("ttft_ms", "number", ("ai.response.msToFirstChunk",)),
    Field("ttft_server", "number", ("gen_ai.server.time_to_first_token",)),
    Field("first_token_at", "text", ("langfuse.observation.completion_start_time",)),
)

# Only of model spans, and only where no attribute carries the provider's id.
ANSWER = (Field("answer", "unread", ("output.value",)),)
