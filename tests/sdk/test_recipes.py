"""The recipes work with the libraries they are for."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import pytest

from switchgear.testing import fixed_policy
from tests.sdk.rules import kill_switch, rule

RECIPES = Path(__file__).parents[2] / "sdk/python/recipes"


def recipe(name: str):
    spec = importlib.util.spec_from_file_location(name, RECIPES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def down(*args, **kwargs):
    raise ConnectionError("down")


def test_plain_functions(monkeypatch):
    plain = recipe("plain_functions")
    timeout = rule("timeout", id="t", timeout_ms=1500)

    with fixed_policy(plain.client, timeout) as seen:
        assert plain.answer_customer("shoes", tenant="acme") == (
            "large-1 says: shoes: ['shoes within 1.5 s']"
        )
        monkeypatch.setattr(plain, "ask_the_shop", down)
        assert "['boots', 'sandals']" in plain.answer_customer("shoes", tenant="acme")
    with fixed_policy(plain.client, rule("run_budget", id="run", max_tool_calls=0)):
        assert "Say politely: search was not called." in plain.answer_customer(
            "shoes", tenant="acme"
        )

    assert {call.tenant for call in seen.calls} == {"acme"}


def called(name: str, **arguments: str):
    from langchain_core.messages import AIMessage

    call = {"name": name, "args": arguments, "id": "call_1", "type": "tool_call"}
    return {"messages": [AIMessage("", tool_calls=[call])]}


@pytest.mark.needs("langgraph")
def test_langgraph_tools():
    graph = recipe("langgraph_tools")

    with fixed_policy(graph.client) as seen:
        answer = graph.app.invoke(called("search", query="shoes"))
        assert answer["messages"][-1].content == "found: shoes"
        answer = asyncio.run(graph.app.ainvoke(called("fetch", url="x")))
        assert answer["messages"][-1].content == "page: x"

    assert [(call.target, call.outcome) for call in seen.calls] == [
        ("search", "ok"),
        ("fetch", "ok"),
    ]


@pytest.mark.needs("langgraph")
def test_a_model_in_a_graph_reads_why_a_tool_did_not_run():
    graph = recipe("langgraph_tools")
    killed = kill_switch("fetch", message="Pages are being moved.")

    with fixed_policy(graph.client, killed, kill_switch("search", id="k2")):
        refused = asyncio.run(graph.app.ainvoke(called("fetch", url="x")))
        instead = graph.app.invoke(called("search", query="shoes"))

    message = refused["messages"][-1]
    assert message.status == "error"
    assert "fetch was not called. Pages are being moved." in message.content
    assert instead["messages"][-1].content == "cached: shoes"


@pytest.mark.needs("langgraph")
def test_a_tool_of_a_graph_keeps_its_schema():
    graph = recipe("langgraph_tools")

    assert list(graph.search.args) == ["query"]
    assert graph.search.description == "Search the shop."


def run_agent(agents_recipe, query: str) -> str:
    """One run: the model asks for the tool, then repeats what it read."""
    from agents import Model, ModelResponse, Runner, Usage
    from openai.types.responses import (
        ResponseFunctionToolCall,
        ResponseOutputMessage,
        ResponseOutputText,
    )

    class Scripted(Model):
        async def get_response(self, **asked):
            outputs = [
                item["output"]
                for item in asked["input"]
                if isinstance(item, dict) and item.get("type") == "function_call_output"
            ]
            if outputs:
                text = ResponseOutputText(
                    text=str(outputs[-1]), type="output_text", annotations=[]
                )
                said = ResponseOutputMessage(
                    id="m",
                    content=[text],
                    role="assistant",
                    status="completed",
                    type="message",
                )
            else:
                said = ResponseFunctionToolCall(
                    call_id="call_1",
                    name="search",
                    arguments=f'{{"query": "{query}"}}',
                    type="function_call",
                )
            return ModelResponse(output=[said], usage=Usage(), response_id=None)

        def stream_response(self, *args, **kwargs):
            raise NotImplementedError

    agent = agents_recipe.agent.clone(model=Scripted())
    return asyncio.run(Runner.run(agent, "hello")).final_output


@pytest.fixture
def agents_recipe(monkeypatch):
    monkeypatch.setenv("OPENAI_AGENTS_DISABLE_TRACING", "1")
    return recipe("openai_agents_tool")


@pytest.mark.needs("openai-agents")
def test_openai_agents_tool(agents_recipe):
    with fixed_policy(agents_recipe.client) as seen:
        assert run_agent(agents_recipe, "shoes") == "found: shoes"

    assert [(call.target, call.outcome) for call in seen.calls] == [("search", "ok")]
    assert (
        agents_recipe.search.params_json_schema["properties"]["query"]["description"]
        == "What to look for."
    )


@pytest.mark.needs("openai-agents")
def test_an_agent_reads_why_a_tool_did_not_run(agents_recipe):
    budget = rule("run_budget", id="run", max_tool_calls=0)

    with fixed_policy(agents_recipe.client, budget), agents_recipe.client.run():
        said = run_agent(agents_recipe, "shoes")
    with fixed_policy(agents_recipe.client, kill_switch("search")):
        instead = run_agent(agents_recipe, "shoes")

    assert said.startswith("search was not called.")
    assert "try again" not in said.lower()
    assert instead == "cached: shoes"


@pytest.mark.needs("openai-agents")
def test_other_errors_are_told_in_the_librarys_words(agents_recipe):
    with fixed_policy(agents_recipe.client):
        said = agents_recipe.tell(None, ValueError("no such shoe"))

    assert said.startswith("An error occurred")
