"""What a span is, what it is about, and which call it belongs to."""

from __future__ import annotations

import sys
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec

from ingest.dialects import categories
from ingest.dialects.plan import Plan
from ingest.records import Category

_SERVER, _CLIENT, _PRODUCER = 2, 3, 4
_NOTHING = b""
_BLANK_8, _BLANK_16 = blake2b(digest_size=8), blake2b(digest_size=16)
_decode = msgspec.json.Decoder().decode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


def category(span: Any, plan: Plan, attributes: Any) -> Category:
    """What the first telling key says; then the name; then what keys are there."""
    for key, values in plan.kinds:
        said = attributes[key].string_value
        found = values.get(said)
        if found is not None:
            return found
        found = values.get(said.lower())
        if found is not None:
            return found
    name = span.name
    if name in categories.SPAN_NAMES:
        return categories.SPAN_NAMES[name]
    if plan.present is not None:
        if plan.present is Category.HTTP and span.kind not in (_CLIENT, _SERVER):
            return Category.OTHER
        if plan.present is not Category.OTHER:
            return plan.present
    return Category.PUBLISH if span.kind == _PRODUCER else Category.OTHER


@lru_cache(maxsize=4096)
def named_tool(target: str, scope: str) -> tuple[str, Category]:
    """The tool's own name, and whether it is one: some names run nothing."""
    if scope.startswith(categories.PLUGIN_SCOPES):
        target = target.rpartition("-")[2]
    pseudo = (
        target in categories.PSEUDO_TOOLS
        or target.startswith(categories.PSEUDO_PREFIXES)
        or (scope, target) in categories.SCOPED_PSEUDO_TOOLS
    )
    return target, Category.PSEUDO if pseudo else Category.TOOL


def tool_name(span_name: str) -> str:
    """The tool in the name of a span whose attributes do not say it."""
    for prefix in categories.NAME_PREFIXES:
        if span_name.startswith(prefix):
            span_name = span_name[len(prefix) :]
            break
    for suffix in categories.NAME_SUFFIXES:
        span_name = span_name.removesuffix(suffix)
    return sys.intern(span_name.strip())


def agent_name(span_name: str, *, native: bool) -> str:
    """The agent in the name of its span; some senders put only a class there."""
    if native or span_name in categories.SPAN_NAMES:
        return ""
    name = span_name.removeprefix(categories.AGENT_PREFIX)
    for suffix in categories.AGENT_SUFFIXES:
        name = name.removesuffix(suffix)
    return sys.intern(name.strip())


def call_id(said: str | None) -> bytes:
    if not said or said in categories.NO_ID:
        return _NOTHING
    return _hashed(_BLANK_8, said.encode())


def response_id(said: str | None) -> bytes:
    return _hashed(_BLANK_16, said.encode()) if said else _NOTHING


def arguments(said: Any, key: bytes) -> bytes:
    """Equal for equal arguments however they were written; tells nobody which."""
    return _hashed(_keyed(key), _canonical(said))


def _hashed(blank: blake2b, text: bytes) -> bytes:
    # Copying a hash takes a third of the time of making one.
    copied = blank.copy()
    copied.update(text)
    return copied.digest()


@lru_cache(maxsize=1024)
def _keyed(key: bytes) -> blake2b:
    return blake2b(digest_size=8, key=key)


def _canonical(said: Any) -> bytes:
    try:
        parsed = _decode(said) if isinstance(said, str) else said
        return _encode_sorted(_unwrapped(parsed))
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError):
        return str(said).strip().encode("utf-8", "replace")


def _unwrapped(parsed: Any) -> Any:
    """The arguments alone: wrappers add run ids that differ between attempts."""
    if not isinstance(parsed, dict):
        return parsed
    if "input_str" in parsed:
        return parsed["input_str"]
    if "kwargs" in parsed and parsed.keys() <= {"args", "kwargs"}:
        return (
            [parsed["args"], parsed["kwargs"]]
            if parsed.get("args")
            else parsed["kwargs"]
        )
    return parsed
