"""OpenAI Agents SDK: a tool obeys rules, and the model reads why it did not run."""

from __future__ import annotations

from typing import Any

from agents import Agent, RunContextWrapper, default_tool_error_function, function_tool

from switchgear import Client, Refused

client = Client()


def tell(context: RunContextWrapper[Any], error: Exception) -> str:
    """The library's own words invite the model to try again; a refusal may not."""
    if isinstance(error, Refused):
        return str(error)
    return default_tool_error_function(context, error)


@client.tool("cached_search")
def cached_search(query: str) -> str:
    return f"cached: {query}"


@function_tool(failure_error_function=tell)
@client.tool("search", idempotent=True, fallback=cached_search)
async def search(query: str) -> str:
    """Search the shop.

    Args:
        query: What to look for.
    """
    return f"found: {query}"


agent = Agent(name="shopkeeper", instructions="Sell shoes.", tools=[search])
