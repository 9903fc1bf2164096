"""Plain functions: a tool with a stand-in, a model with another one, a run's budget."""

from __future__ import annotations

from switchgear import Client, Refused, current_call

client = Client()
SHELF = {"shoes": ["boots", "sandals"]}


@client.tool("cached_search")
def cached_search(query: str) -> list[str]:
    return SHELF.get(query, [])


@client.tool("search", idempotent=True, fallback=cached_search)
def search(query: str) -> list[str]:
    # Whatever waits should wait no longer than the rules allow.
    call = current_call()
    return ask_the_shop(query, timeout_s=call.timeout_s if call else None)


@client.model("large-1", named_by="model")
def ask(prompt: str, *, model: str = "large-1") -> str:
    answer, used = ask_the_provider(model, prompt)
    if call := current_call():
        call.used(input_tokens=used[0], output_tokens=used[1])
    return answer


def answer_customer(question: str, *, tenant: str) -> str:
    """One request: its calls share a run budget, and rules see for whom they are."""
    with client.run(tenant=tenant, agent="shopkeeper"):
        try:
            found = search(question)
        except Refused as refused:
            return ask(f"Say politely: {refused}")
        return ask(f"{question}: {found}")


def ask_the_shop(query: str, *, timeout_s: float | None) -> list[str]:
    """Stands for a request to a service of your own."""
    return [f"{query} within {timeout_s} s"]


def ask_the_provider(model: str, prompt: str) -> tuple[str, tuple[int, int]]:
    """Stands for a request to a model's provider."""
    return f"{model} says: {prompt}", (len(prompt), 7)
