"""Selectors on one line, as people write them in a form.

    tenant=acme, target=search*, environment!=staging|dev, agent="Bot, the first"

``=`` is one of the values, ``!=`` none of them. A bare value with ``*`` is a pattern;
``~`` says so of any value, and quotes make characters plain. Whatever selector the
kernel knows is written so that reading it gives the same selector.
"""

from __future__ import annotations

import json
import re
from collections import deque
from typing import Any, NamedTuple

from switchgear.policy.rules.selectors import Comparison, Condition, Selector

Document = dict[str, Any]

TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<sign>!=|[=~,|])"""
    r"""|(?P<bare>[^\s=~,|!"][^=~,|!"]*))\s*"""
)
BARE = re.compile(r"[^\s=~,|!\"*]+( +[^\s=~,|!\"*]+)*")
PATTERN = re.compile(r"[^\s=~,|!\"]+( +[^\s=~,|!\"]+)*")


class Unreadable(ValueError):
    """Where the line stops being a selector."""


def written(selector: Selector) -> str:
    return ", ".join(
        f"{name}{condition_text(condition)}" for name, condition in selector.conditions
    )


def condition_text(condition: Condition) -> str:
    if condition.comparison is Comparison.GLOB:
        pattern = condition.values[0]
        if "*" in pattern and PATTERN.fullmatch(pattern):
            return f"={pattern}"
        return f"~{quoted(pattern)}"
    sign = "!=" if condition.comparison is Comparison.NOT else "="
    return sign + "|".join(quoted(value) for value in condition.values)


def quoted(value: str) -> str:
    return value if BARE.fullmatch(value) else json.dumps(value, ensure_ascii=False)


class Token(NamedTuple):
    text: str
    kind: str  # quoted, sign or bare


def read(text: str) -> Document:
    """The document of the selector; what it may contain is the kernel's to say."""
    document: Document = {}
    tokens = tokens_of(text)
    while tokens:
        if document and tokens.popleft().text != ",":
            msg = f"Put a comma after {list(document)[-1]}"
            raise Unreadable(msg)
        name = value(tokens, "a fact, such as tenant or target").text
        if name in document:
            msg = f"{name} is there twice"
            raise Unreadable(msg)
        document[name] = condition(name, tokens)
    return document


def tokens_of(text: str) -> deque[Token]:
    tokens: deque[Token] = deque()
    at = 0
    while at < len(text):
        found = TOKEN.match(text, at)
        if found is None:
            if not text[at:].strip():
                break
            msg = f"Cannot read on from {text[at : at + 20].strip()!r}"
            raise Unreadable(msg)
        kind = found.lastgroup or ""
        tokens.append(Token(found[kind].strip(), kind))
        at = found.end()
    return tokens


def condition(name: str, tokens: deque[Token]) -> object:
    sign = tokens.popleft().text if tokens else ""
    if sign not in {"=", "!=", "~"}:
        msg = f"After {name} there must be =, != or ~"
        raise Unreadable(msg)
    values = [value(tokens, f"a value for {name}")]
    while tokens and tokens[0].text == "|":
        tokens.popleft()
        values.append(value(tokens, f"another value for {name}"))
    texts = [plain(each) for each in values]
    starred = [each.text for each in values if each.kind == "bare" and "*" in each.text]
    if sign == "~" or (sign == "=" and starred):
        if len(values) > 1:
            msg = f"{name} can have one pattern and nothing beside it"
            raise Unreadable(msg)
        return {"glob": texts[0]}
    if starred:
        msg = f"{name} cannot be unlike a pattern; quote a plain *"
        raise Unreadable(msg)
    if sign == "!=":
        return {"not": texts}
    return texts[0] if len(texts) == 1 else texts


def value(tokens: deque[Token], what: str) -> Token:
    if not tokens or tokens[0].kind == "sign":
        msg = f"There must be {what}"
        raise Unreadable(msg)
    return tokens.popleft()


def plain(token: Token) -> str:
    if token.kind != "quoted":
        return token.text
    try:
        text: str = json.loads(token.text)
    except ValueError:
        msg = f"{token.text} is not quoted as JSON quotes"
        raise Unreadable(msg) from None
    return text
