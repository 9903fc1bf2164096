"""Two conventions for the same things: OTel's GenAI, and OpenInference. Pure."""

from __future__ import annotations

import json
from typing import Protocol

from dashboards.demo.world import Customer, Model, Tool, Used

Attributes = dict[str, str | int | float | bool]


class Dialect(Protocol):
    def agent(self, name: str) -> Attributes: ...
    def model(self, model: Model) -> Attributes: ...
    def answer(self, model: Model, used: Used, response: str) -> Attributes: ...
    def tool(self, tool: Tool, call: str, arguments: str) -> Attributes: ...
    def about(self, customer: Customer) -> Attributes: ...


class GenAI:
    """The semantic conventions for generative AI."""

    def agent(self, name: str) -> Attributes:
        return {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name}

    def model(self, model: Model) -> Attributes:
        return {
            "gen_ai.operation.name": "embeddings" if model.embeds else "chat",
            "gen_ai.provider.name": model.provider,
            "gen_ai.request.model": model.name,
        }

    def answer(self, model: Model, used: Used, response: str) -> Attributes:
        if model.embeds:
            return {"gen_ai.usage.input_tokens": used.input}
        return {
            "gen_ai.response.model": model.name,
            "gen_ai.response.id": response,
            "gen_ai.usage.input_tokens": used.input,
            "gen_ai.usage.output_tokens": used.output,
            "gen_ai.usage.cache_read.input_tokens": used.cached,
            "gen_ai.response.time_to_first_chunk": used.first_s,
        }

    def tool(self, tool: Tool, call: str, arguments: str) -> Attributes:
        return {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": tool.name,
            "gen_ai.tool.call.id": call,
            "gen_ai.tool.call.arguments": arguments,
        }

    def about(self, customer: Customer) -> Attributes:
        return {
            "tenant.id": customer.tenant,
            "gen_ai.conversation.id": customer.session,
            "user.id": customer.user,
        }


class OpenInference:
    """What Arize's instrumentations write."""

    def agent(self, name: str) -> Attributes:
        return {"openinference.span.kind": "AGENT", "agent.name": name}

    def model(self, model: Model) -> Attributes:
        name = "embedding.model_name" if model.embeds else "llm.model_name"
        return {
            "openinference.span.kind": "EMBEDDING" if model.embeds else "LLM",
            "llm.provider": model.provider,
            name: model.name,
        }

    def answer(self, model: Model, used: Used, response: str) -> Attributes:
        return {
            "llm.token_count.prompt": used.input,
            "llm.token_count.completion": used.output,
            "llm.token_count.prompt_details.cache_read": used.cached,
            "output.value": json.dumps({"id": response, "object": "chat.completion"}),
            "output.mime_type": "application/json",
        }

    def tool(self, tool: Tool, call: str, arguments: str) -> Attributes:
        return {
            "openinference.span.kind": "TOOL",
            "tool.name": tool.name,
            "tool_call.id": call,
            "input.value": arguments,
            "input.mime_type": "application/json",
        }

    def about(self, customer: Customer) -> Attributes:
        return {
            "metadata": json.dumps({"tenant": customer.tenant}),
            "session.id": customer.session,
            "user.id": customer.user,
        }


GENAI, OPENINFERENCE = GenAI(), OpenInference()
