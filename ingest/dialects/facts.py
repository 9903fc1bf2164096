"""What the attributes of one span say, before anybody concludes anything from it.

The table of ``attributes`` says where each field is found and how it is read. ``None``
is what no attribute said; a fact is never guessed.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Facts(msgspec.Struct, gc=False):
    """One field for each name in the tables of ``attributes``."""

    # Who called, for whom
    tenant: str | None = None
    tenant_copy: str | None = None
    session: str | None = None
    user: str | None = None
    agent: str | None = None
    environment_said: str | None = None
    # What our own client says
    outcome: str | None = None
    decision: str | None = None
    rule: str | None = None
    own_call: str | None = None
    lease: str | None = None
    policy_version: int | None = None
    fallback_from: str | None = None
    fallback_to: str | None = None
    cached: bool | None = None
    refusal: str | None = None
    own_class: str | None = None
    # How it went
    error_type: str | None = None
    error_message: str | None = None
    status_code: int | None = None
    rpc_code: str | None = None
    level: str | None = None
    told_failed: bool | None = None
    told_status: str | None = None
    retry_reason: str | None = None
    failure_stage: str | None = None
    # How often it was tried
    attempt: int | None = None
    attempts_total: int | None = None
    celery_retries: int | None = None
    resends: int | None = None
    backoff_ms: float | None = None
    backoff_s: float | None = None
    # What was called
    target: str | None = None
    tool_call: str | None = None
    tool_arguments: Any = None  # text, or the object it stands for
    result: str | None = None
    server: str | None = None
    units: float | None = None
    method: str | None = None
    url: str | None = None
    # What models and the containers around them say
    provider: str | None = None
    request_model: str | None = None
    response_model: str | None = None
    answer_id: str | None = None
    answer: Any = None  # unread
    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    cost_usd: float | None = None
    cost_currency: str | None = None
    ttft_s: float | None = None
    ttft_ms: float | None = None
    ttft_server: float | None = None
    first_token_at: str | None = None
