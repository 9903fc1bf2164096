"""LangGraph: the tools of a node obey rules, and the model reads why one did not."""

from __future__ import annotations

from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from switchgear import Client, Refused

client = Client()


@client.tool("cached_search")
def cached_search(query: str) -> str:
    return f"cached: {query}"


@tool
@client.tool("search", idempotent=True, fallback=cached_search)
def search(query: str) -> str:
    """Search the shop."""
    return f"found: {query}"


@tool
@client.tool("fetch", idempotent=True)
async def fetch(url: str) -> str:
    """Read a page."""
    return f"page: {url}"


def tell(refused: Refused) -> str:
    """What the model reads instead of an answer; other errors stay errors."""
    return str(refused)


tools = ToolNode([search, fetch], handle_tool_errors=tell)
graph = StateGraph(MessagesState)
graph.add_node("tools", tools)
graph.add_edge(START, "tools")
app = graph.compile()
