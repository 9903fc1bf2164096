"""What a service writes, as mypy is to understand it: checked, run by nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from switchgear import (
    Call,
    Client,
    FailureClass,
    RefusalReason,
    Refused,
    __version__,
    current_call,
)
from switchgear.testing import Ended, Seen, fixed_policy


def kind_of(error: BaseException) -> FailureClass | None:
    return FailureClass.TIMEOUT if "slow" in str(error) else None


client = Client(
    "https://switchgear.example.com",
    "key",
    "shop",
    environment="prod",
    instance="shop-1",
    cache_dir="/var/cache/shop",
    classify=kind_of,
)
assert_type(__version__, str)
assert_type(client.policy_version, int | None)
assert_type(client.wait_until_ready(1.0), bool)


def cached(query: str, limit: int = 3) -> list[str]:
    return [query] * limit


@client.tool("search", fallback=[cached, "mirror"], idempotent=True, server="shop")
def search(query: str, limit: int = 3) -> list[str]:
    return [query] * limit


@client.tool()
async def fetch(url: str) -> bytes:
    return url.encode()


@client.model("large-1", named_by="model", provider="acme", classify=kind_of)
async def ask(prompt: str, *, model: str = "large-1") -> str:
    return prompt + model


@client.model("large-1")
def stream(prompt: str) -> Iterator[str]:
    yield prompt


@client.guard("retrieval", "shelf")
async def lines(prompt: str) -> AsyncIterator[str]:
    yield prompt


def use() -> None:
    assert_type(search("shoes", limit=2), list[str])
    assert_type(list(stream("hi")), list[str])
    search(7)  # type: ignore[arg-type]
    client.tool("x", retries=3)  # type: ignore[call-arg]
    client.call("x", tenannt="acme")  # type: ignore[call-arg]
    try:
        with client.call("search", tenant="acme", kind="tool", tokens=3) as call:
            assert_type(call, Call)
            assert_type(call.timeout_s, float | None)
            call.used(input_tokens=1, output_tokens=2, cost_usd=0.1)
            call.failed(FailureClass.TOOL_ERROR)
    except Refused as refused:
        assert_type(refused.reason, str)
        assert_type(refused.rule, str | None)
        assert_type(refused.retry_after, float | None)
        assert_type(refused.alternatives, tuple[str, ...])
        assert_type(refused.retryable, bool)
        assert_type(refused.reason == RefusalReason.QUOTA, bool)
    running = current_call()
    if running is not None:
        running.used(cost_usd=0.5)


async def use_in_tasks() -> None:
    assert_type(await fetch("x"), bytes)
    assert_type(await ask("hi", model="small-1"), str)
    async with client.acall("search", deadline_s=3.0) as call:
        call.failed()
    waiting = await client.acall("search")
    waiting.close()
    with client.run(tenant="acme", user="ada", agent="shopper", deadline_s=60) as run:
        assert_type(run.id, str)
        async for line in lines("hi"):
            assert_type(line, str)


def use_in_tests() -> None:
    with fixed_policy(client, {"kind": "retry", "selector": {}}) as seen:
        assert_type(seen, Seen)
        assert_type(seen.calls, list[Ended])
        assert_type(seen.waits, list[float])
