"""Which model spans are one call, which are attempts, and which are fallbacks."""

from __future__ import annotations

import pytest

from ingest.derive import derive
from ingest.derive.models import plain_model, same_model
from ingest.records import Category
from tests.ingest.spans import agent, model, only, span, told, tool, used

MINI = "gpt-4o-mini"

# Spans below an agent (1) -> anchor and target: outcome, attempts, failed attempts.
ONE_OR_SEVERAL = {
    "a wrapper and its leaf are one call": (
        [model(2, 0, 50, inside=1), model(3, 1, 49, inside=2)],
        {"2 gpt-4o": ("ok", 1, 0)},
    ),
    "structure between wrapper and leaf does not count": (
        [
            model(2, 0, 50, inside=1),
            span(4, 0, 50, inside=2, category=Category.STEP),
            model(3, 1, 49, inside=4),
        ],
        {"2 gpt-4o": ("ok", 1, 0)},
    ),
    "a tool in between makes two calls": (
        [
            model(2, 0, 50, inside=1),
            tool(4, 1, 49, inside=2),
            model(3, 2, 48, inside=4),
        ],
        {
            "2 gpt-4o": ("ok", 1, 0),
            "4 search": ("ok", 1, 0),
            "3 gpt-4o": ("ok", 1, 0),
        },
    ),
    "an agent in between makes two calls": (
        [
            model(2, 0, 50, inside=1),
            agent(4, 1, 49, inside=2),
            model(3, 2, 48, inside=4),
        ],
        {"2 gpt-4o": ("ok", 1, 0), "3 gpt-4o": ("ok", 1, 0)},
    ),
    "an embedding inside a model is a call of its own": (
        [
            model(2, 0, 50, inside=1),
            span(3, 1, 9, inside=2, category=Category.EMBEDDING, name="ada"),
        ],
        {"2 gpt-4o": ("ok", 1, 0), "3 ada": ("ok", 1, 0)},
    ),
    "leaves are attempts": (
        [
            model(2, 0, 50, inside=1),
            model(3, 1, 9, inside=2, failed="rate_limited"),
            model(4, 20, 49, inside=2),
        ],
        {"2 gpt-4o": ("recovered", 2, 1)},
    ),
    "an answer after the last failed leaf is one more attempt": (
        [
            model(2, 0, 90, inside=1),
            *(
                model(3 + n, 10 * n, 10 * n + 5, inside=2, failed="rate_limited")
                for n in range(5)
            ),
        ],
        {"2 gpt-4o": ("recovered", 6, 5)},
    ),
    "the outer span decides": (
        [
            model(2, 0, 50, inside=1, failed="invalid_request"),
            model(3, 1, 49, inside=2),
        ],
        {"2 gpt-4o": ("failed", 1, 1)},
    ),
    "a wrapper only restates the failure": (
        [
            model(2, 0, 50, inside=1, failed="unknown", name="alias"),
            model(3, 1, 49, inside=2, failed="timeout"),
        ],
        {"2 alias": ("failed", 1, 1)},
    ),
    "leaves with one response id are one attempt": (
        [
            model(2, 0, 50, inside=1),
            model(3, 1, 49, inside=2, response_id=b"r"),
            model(4, 2, 48, inside=2, response_id=b"r", native=True),
        ],
        {"2 gpt-4o": ("ok", 1, 0)},
    ),
    "a failed one of another model inside was answered by the outer": (
        [
            model(2, 0, 50, inside=1, name=MINI),
            model(3, 1, 9, inside=2, failed="server_error"),
            model(4, 10, 49, inside=2, name=MINI),
        ],
        {"2 gpt-4o-mini": ("ok", 1, 0), "3 gpt-4o": ("fallback", 1, 1)},
    ),
    "the attempts of another model inside are those of its own call": (
        [
            model(2, 0, 50, inside=1, name=MINI),
            model(3, 1, 30, inside=2, failed="server_error"),
            model(4, 2, 9, inside=3, failed="rate_limited"),
            model(5, 10, 29, inside=3, failed="server_error"),
        ],
        {"2 gpt-4o-mini": ("ok", 1, 0), "3 gpt-4o": ("fallback", 2, 2)},
    ),
    "tries of another model inside are one call": (
        [
            model(2, 0, 50, inside=1, name=MINI),
            model(3, 1, 9, inside=2, failed="server_error"),
            model(4, 10, 19, inside=2, failed="server_error"),
            model(5, 20, 49, inside=2, name=MINI),
        ],
        {"2 gpt-4o-mini": ("ok", 1, 0), "3 gpt-4o": ("fallback", 2, 2)},
    ),
    "a failed model request attempt is a call of its own": (
        [
            model(2, 0, 50, inside=1, name=MINI),
            model(3, 1, 9, inside=2, failed="server_error", model_attempt=True),
        ],
        {"2 gpt-4o-mini": ("ok", 1, 0), "3 gpt-4o": ("fallback", 1, 1)},
    ),
    "also of the same model": (
        [
            model(2, 0, 50, inside=1),
            model(3, 1, 9, inside=2, failed="server_error", model_attempt=True),
        ],
        {"2 gpt-4o": ("ok", 1, 0), "3 gpt-4o": ("fallback", 1, 1)},
    ),
    "where all models failed the outer restates the last": (
        [
            model(2, 0, 50, inside=1, name=MINI, failed="server_error"),
            model(3, 1, 9, inside=2, failed="timeout", model_attempt=True),
            model(4, 10, 49, inside=2, name=MINI, failed="timeout", model_attempt=True),
        ],
        {"2 gpt-4o-mini": ("failed", 1, 1), "3 gpt-4o": ("failed", 1, 1)},
    ),
    "a hedge that was cancelled is an attempt without error": (
        [
            model(2, 0, 50, inside=1),
            model(3, 1, 49, inside=2, name=MINI, failed="cancelled"),
            model(4, 2, 48, inside=2),
        ],
        {"2 gpt-4o": ("recovered", 2, 0)},
    ),
    "a failed one and the next of the same model are one call": (
        [
            model(2, 0, 9, inside=1, failed="rate_limited"),
            model(3, 10, 19, inside=1, failed="rate_limited"),
            model(4, 20, 29, inside=1, name="openai/gpt-4o-2024-11-20"),
        ],
        {"2 gpt-4o": ("recovered", 3, 2)},
    ),
    "a tool in between makes it another call": (
        [
            model(2, 0, 9, inside=1, failed="rate_limited"),
            tool(3, 10, 19, inside=1),
            model(4, 20, 29, inside=1),
        ],
        {
            "2 gpt-4o": ("failed", 1, 1),
            "3 search": ("ok", 1, 0),
            "4 gpt-4o": ("ok", 1, 0),
        },
    ),
    "the next began too early": (
        [
            model(2, 0, 9, inside=1, failed="rate_limited"),
            model(3, 8, 19, inside=1),
        ],
        {"2 gpt-4o": ("failed", 1, 1), "3 gpt-4o": ("ok", 1, 0)},
    ),
    "cousins are not siblings": (
        [
            span(5, 0, 9, inside=1),
            span(6, 10, 19, inside=1),
            model(2, 0, 9, inside=5, failed="rate_limited"),
            model(3, 10, 19, inside=6),
        ],
        {"2 gpt-4o": ("failed", 1, 1), "3 gpt-4o": ("ok", 1, 0)},
    ),
    "another model that answers is the fallback": (
        [
            model(2, 0, 9, inside=1, failed="server_error"),
            model(3, 10, 19, inside=1, name=MINI),
        ],
        {"2 gpt-4o": ("fallback", 1, 1), "3 gpt-4o-mini": ("ok", 1, 0)},
    ),
    "retries before and after a fallback": (
        [
            model(2, 0, 9, inside=1, failed="server_error"),
            model(3, 10, 19, inside=1, failed="server_error"),
            model(4, 20, 29, inside=1, name=MINI, failed="timeout"),
            model(5, 30, 39, inside=1, name=MINI),
        ],
        {"2 gpt-4o": ("fallback", 2, 2), "4 gpt-4o-mini": ("recovered", 2, 1)},
    ),
    "each failed model of a row was answered by the last": (
        [
            model(2, 0, 9, inside=1, failed="server_error"),
            model(3, 10, 19, inside=1, name=MINI, failed="timeout"),
            model(4, 20, 29, inside=1, name="sonnet"),
        ],
        {
            "2 gpt-4o": ("fallback", 1, 1),
            "3 gpt-4o-mini": ("fallback", 1, 1),
            "4 sonnet": ("ok", 1, 0),
        },
    ),
    "another model that fails as well answers nothing": (
        [
            model(2, 0, 9, inside=1, failed="server_error"),
            model(3, 10, 19, inside=1, name=MINI, failed="timeout"),
        ],
        {"2 gpt-4o": ("failed", 1, 1), "3 gpt-4o-mini": ("failed", 1, 1)},
    ),
    "a running or refused one answers nothing": (
        [
            model(2, 0, 9, inside=1, failed="server_error"),
            model(3, 10, None, inside=1, name=MINI),
            span(9, 0, 99, inside=1),
            model(4, 0, 9, inside=9, failed="server_error"),
            model(5, 10, 11, inside=9, name=MINI, refusal_reason="quota"),
        ],
        {
            "2 gpt-4o": ("failed", 1, 1),
            "3 gpt-4o-mini": ("ok", 1, 0),
            "4 gpt-4o": ("failed", 1, 1),
            "5 gpt-4o-mini": ("refused", 0, 0),
        },
    ),
    "a refused one that another model answered is a fallback": (
        [
            model(2, 0, 1, inside=1, refusal_reason="breaker"),
            model(3, 10, 19, inside=1, name=MINI),
        ],
        {"2 gpt-4o": ("fallback", 0, 0), "3 gpt-4o-mini": ("ok", 1, 0)},
    ),
    "a refused one is not retried by the next": (
        [
            model(2, 0, 1, inside=1, refusal_reason="quota"),
            model(3, 10, 19, inside=1),
        ],
        {"2 gpt-4o": ("refused", 0, 0), "3 gpt-4o": ("ok", 1, 0)},
    ),
    "what was given up is not a fallback": (
        [
            model(2, 0, 9, inside=1, failed="cancelled"),
            model(3, 10, 19, inside=1, name=MINI),
        ],
        {"2 gpt-4o": ("cancelled", 1, 0), "3 gpt-4o-mini": ("ok", 1, 0)},
    ),
    "a suppressed retry is not a refusal": (
        [
            model(2, 0, 9, inside=1, failed="server_error"),
            model(3, 10, 11, inside=1, refusal_reason="run_budget"),
        ],
        {"2 gpt-4o": ("failed", 1, 1)},
    ),
    "a wrapper that still runs has no verdict on its leaves": (
        [
            model(2, 0, None, inside=1),
            model(3, 1, 9, inside=2, failed="rate_limited"),
        ],
        {"2 gpt-4o": ("ok", 1, 0)},
    ),
}


@pytest.mark.parametrize("case", ONE_OR_SEVERAL)
def test_models_of_an_agent_run(case):
    spans, expected = ONE_OR_SEVERAL[case]

    assert told([agent(1, 0, 1000), *spans]) == expected


BESIDE = {
    "within the other": (
        [
            model(2, 0, 9, inside=1, failed="timeout"),
            model(3, 1, 8, inside=1, failed="timeout", native=True, attempts=3),
        ],
        {"2 gpt-4o": ("failed", 3, 3)},
    ),
    "each within its own, then answered": (
        [
            model(2, 0, 9, inside=1, failed="timeout"),
            model(3, 1, 8, inside=1, failed="timeout", native=True),
            model(4, 10, 19, inside=1, failed="timeout"),
            model(5, 11, 18, inside=1, failed="timeout", native=True),
            model(6, 20, 29, inside=1),
        ],
        {"2 gpt-4o": ("recovered", 3, 2)},
    ),
    "within the second of two": (
        [
            model(2, 0, 9, inside=1, failed="timeout"),
            model(4, 10, 19, inside=1, failed="timeout"),
            model(5, 11, 18, inside=1, failed="timeout", native=True),
        ],
        {"2 gpt-4o": ("failed", 2, 2)},
    ),
    "an answer without an id": (
        [
            model(2, 0, 9, inside=1),
            model(3, 1, 8, inside=1, native=True, response_id=b"r", attempts=2),
        ],
        {"2 gpt-4o": ("recovered", 2, 1)},
    ),
    "an answer with an id, which tells by itself": (
        [
            model(2, 0, 9, inside=1, response_id=b"r"),
            model(3, 1, 8, inside=1, native=True, response_id=b"r"),
        ],
        {"2 gpt-4o": ("ok", 1, 0), "3 gpt-4o": ("ok", 1, 0)},
    ),
    "an answer within a failure": (
        [
            model(2, 0, 9, inside=1, failed="timeout"),
            model(3, 1, 8, inside=1, native=True, response_id=b"r"),
        ],
        {"2 gpt-4o": ("failed", 1, 1), "3 gpt-4o": ("ok", 1, 0)},
    ),
    "of another model": (
        [
            model(2, 0, 9, inside=1, failed="timeout"),
            model(3, 1, 8, inside=1, failed="timeout", native=True, name=MINI),
        ],
        {"2 gpt-4o": ("failed", 1, 1), "3 gpt-4o-mini": ("failed", 1, 1)},
    ),
    "longer than the other": (
        [
            model(2, 0, 9, inside=1, failed="timeout"),
            model(3, 1, 10, inside=1, failed="timeout", native=True),
        ],
        {"2 gpt-4o": ("failed", 1, 1), "3 gpt-4o": ("failed", 1, 1)},
    ),
    "alone": (
        [model(3, 1, 10, inside=1, failed="timeout", native=True)],
        {"3 gpt-4o": ("failed", 1, 1)},
    ),
    "as roots": (
        [
            model(2, 0, 9, failed="timeout"),
            model(3, 1, 8, failed="timeout", native=True),
        ],
        {"2 gpt-4o": ("failed", 1, 1), "3 gpt-4o": ("failed", 1, 1)},
    ),
}


@pytest.mark.parametrize("case", BESIDE)
def test_the_native_sdk_tells_beside_another_span(case):
    spans, expected = BESIDE[case]

    assert told([agent(1, 0, 99), *spans]) == expected


def test_roots_are_no_siblings():
    spans = [model(2, 0, 9, failed="server_error"), model(3, 10, 19)]

    assert told(spans) == {"2 gpt-4o": ("failed", 1, 1), "3 gpt-4o": ("ok", 1, 0)}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("gpt-4o", "gpt-4o", True),
        ("gpt-4o", "GPT-4o", True),
        ("openai/gpt-4o", "gpt-4o-2024-11-20", True),
        ("openai:gpt-4o", "gpt-4o", True),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", "claude-sonnet-4", True),
        ("claude-3-5-haiku@20241022", "anthropic/claude-3-5-haiku", True),
        ("models/gemini-2.5-flash", "gemini-2.5-flash", True),
        ("gpt-4o", "", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("llama3:8b", "llama3:70b", False),
        ("mistral:7b", "llama:7b", False),
        ("gpt-4.1", "gpt-4", False),
    ],
)
def test_a_model_is_the_same_without_provider_and_date(one, other, same):
    assert same_model(one, other) is same
    assert same_model(other, one) is same


def test_a_name_is_plain_once():
    assert plain_model(plain_model("openai/gpt-4o-2024-11-20")) == "gpt-4o"


def test_the_requested_model_is_the_target_else_the_one_that_answered():
    assert only([model(1, 0, 1, response_model="other")]).target == "gpt-4o"
    assert only([model(1, 0, 1, name="", response_model="other")]).target == "other"
    assert only([model(1, 0, 1, name="")]).target == "unknown"
    assert only([model(1, 0, 9, name=""), model(2, 1, 8, inside=1)]).target == "gpt-4o"


def test_embeddings_are_wrapped_like_models():
    spans = [
        span(1, 0, 9, category=Category.EMBEDDING, name="ada"),
        span(2, 1, 8, inside=1, category=Category.EMBEDDING, usage=used(7, 0)),
    ]

    call = only(spans)

    assert (call.kind, call.target, call.usage) == ("embedding", "ada", used(7, 0))


def test_a_failed_call_has_no_response_id():
    (failed, answered) = derive(
        [
            model(1, 0, 9, failed="timeout", response_id=b"uuid"),
            model(2, 10, 19, response_id=b"chatcmpl", usage=used(1, 2), native=True),
        ]
    )

    assert (failed.response_id, failed.rank) == (b"", ())
    assert (answered.response_id, answered.rank) == (b"chatcmpl", (0, 0, 2, 1))


def test_the_response_id_of_a_wrapped_call_is_that_of_its_answer():
    spans = [
        agent(1, 0, 99, tenant="acme"),
        model(2, 0, 50, inside=1),
        model(3, 1, 9, inside=2, failed="timeout", response_id=b"lost"),
        model(4, 20, 49, inside=2, response_id=b"answer", usage=used(3, 4)),
    ]

    call = only(spans)

    assert (call.response_id, call.rank) == (b"answer", (1, 1, 2, 0))


def test_of_two_answers_below_one_wrapper_the_later_names_the_call():
    spans = [
        model(2, 0, 50),
        model(3, 1, 9, inside=2, response_id=b"first"),
        model(4, 20, 49, inside=2, response_id=b"second"),
    ]

    assert only(spans).response_id == b"second"
