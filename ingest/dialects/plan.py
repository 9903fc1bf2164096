"""How to read a span, worked out once per set of keys and per category.

Spans of one sender carry the same few sets of keys, so the lookup of every key in the
tables of aliases is done for the first of them and remembered. What is remembered is a
function that makes the ``Facts``, written and compiled here: for a span with three
known keys it is

    lambda values: Facts(word(values["tenant.id"]), None, ..., count(values["..."]))

with an expression in the place of every field that one of the keys may tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from ingest.dialects import attributes, model_attributes
from ingest.dialects.attributes import Field
from ingest.dialects.categories import CATEGORIES, PRESENT
from ingest.dialects.facts import Facts
from ingest.dialects.readers import READERS, in_document
from ingest.records import Category

_PLANS_KEPT = 4096
# Somebody may send ever new keys that we do not know, many and long ones.
_SETS_KEPT = 1024
_KEYS_OF_A_SET = 64
_LENGTH_OF_A_SET = 4096

# What is read of a span of each category, beside who, policy and failure.
_TOOL = (
    attributes.TOOL
    + attributes.ATTEMPTS
    # Whoever wrote the span of a tool is not its provider.
    + tuple(field for field in model_attributes.MODEL if field.name != "provider")
)
_MODEL = model_attributes.MODEL + model_attributes.ANSWER + attributes.ATTEMPTS
_NETWORK = attributes.NETWORK + attributes.ATTEMPTS
_BY_CATEGORY: dict[Category, tuple[Field, ...]] = {
    Category.OTHER: attributes.ATTEMPTS,
    Category.TOOL: _TOOL,
    Category.MODEL: _MODEL,
    Category.EMBEDDING: _MODEL,
    Category.RETRIEVAL: attributes.TOOL + _MODEL,
    Category.GUARDRAIL: attributes.TOOL + _MODEL,
    Category.AGENT: model_attributes.MODEL,
    Category.WORKFLOW: model_attributes.MODEL,
    Category.STEP: model_attributes.MODEL,
    Category.PSEUDO: _TOOL,
    Category.HTTP: _NETWORK,
    Category.RPC: _NETWORK,
    Category.DATABASE: (),
    Category.PUBLISH: (),
}
_COMMON = attributes.WHO + attributes.POLICY + attributes.REFUSAL + attributes.FAILURE

_ALL = tuple(
    {field.name: field for group in _BY_CATEGORY.values() for field in group}.values()
)

Read: TypeAlias = Callable[[Any], Facts]


class _Reads(dict[Category, Read]):
    """The function for each category, compiled when the first such span comes."""

    def __init__(self, keys: frozenset[str], tenant_keys: tuple[str, ...]) -> None:
        super().__init__()
        self._keys = keys
        self._tenant_keys = tenant_keys

    def __missing__(self, category: Category) -> Read:
        fields = _COMMON + _BY_CATEGORY[category]
        read = self[category] = _compiled(fields, self._keys, self._tenant_keys)
        return read


@dataclass(frozen=True, slots=True)
class Plan:
    """How to read every span that has exactly these known keys."""

    kinds: tuple[tuple[str, dict[str, Category]], ...]
    present: Category | None
    # Whether any key may tell of it; most spans have none.
    tells_failure: bool
    tells_attempts: bool
    tells_usage: bool
    reads: _Reads


class Dictionary:
    """The tables, with a project's own tenant keys in front."""

    def __init__(self, tenant_keys: tuple[str, ...]) -> None:
        self._tenant_keys = tenant_keys
        self._by_keys: dict[tuple[str, ...], Plan] = {}
        self._by_known: dict[frozenset[str], Plan] = {}
        aliases = tenant_keys + tuple(k for field in _COMMON + _ALL for k in field.keys)
        keys = {alias.partition("#")[0] for alias in aliases}
        self._known = frozenset(keys).union(CATEGORIES, PRESENT)

    def plan(self, attributes: Any) -> Plan:
        """The plan for a span's attributes; each key is looked at once."""
        keys = tuple(attributes)
        return self._by_keys.get(keys) or self._new(keys)

    def _new(self, keys: tuple[str, ...]) -> Plan:
        known = self._known.intersection(keys)
        found = self._by_known.get(known)
        if found is None:
            if len(self._by_known) >= _PLANS_KEPT:
                self._by_known.clear()  # forgetting is cheap
            found = self._by_known[known] = self._plan(known)
        if len(keys) <= _KEYS_OF_A_SET and sum(map(len, keys)) <= _LENGTH_OF_A_SET:
            if len(self._by_keys) >= _SETS_KEPT:
                self._by_keys.clear()
            self._by_keys[keys] = found
        return found

    def _plan(self, keys: frozenset[str]) -> Plan:
        return Plan(
            kinds=tuple(
                (key, values) for key, values in CATEGORIES.items() if key in keys
            ),
            present=next((PRESENT[key] for key in PRESENT if key in keys), None),
            tells_failure=_any(attributes.FAILURE + attributes.REFUSAL, keys),
            tells_attempts=_any(attributes.ATTEMPTS, keys),
            tells_usage=_any(model_attributes.MODEL, keys),
            reads=_Reads(keys, self._tenant_keys),
        )


def _any(fields: tuple[Field, ...], keys: frozenset[str]) -> bool:
    return any(key.partition("#")[0] in keys for field in fields for key in field.keys)


def _compiled(
    fields: tuple[Field, ...], keys: frozenset[str], tenant_keys: tuple[str, ...]
) -> Read:
    """The function for spans with these keys, of whose fields these are read."""
    names: dict[str, Any] = {"Facts": Facts}
    told = {}
    for field in fields:
        aliases = field.keys
        if field.name == "tenant":
            aliases = tenant_keys + aliases
        found = [
            _expression(field.reader, key, path, names)
            for key, _, path in (alias.partition("#") for alias in aliases)
            if key in keys
        ]
        if found:
            told[field.name] = _first(found)
    places = ", ".join(told.get(name, "None") for name in Facts.__struct_fields__)
    # Nothing in it comes from a sender: keys are those of the tables.
    read: Read = eval(f"lambda values: Facts({places})", names)  # noqa: S307
    return read


def _expression(reader: str, key: str, path: str, names: dict[str, Any]) -> str:
    """Reads one alias; ``None`` when it has no usable value."""
    value = f"values[{key!r}]"
    if path:
        name = f"in_document_{len(names)}"
        names[name] = in_document(reader, tuple(path.split(".")))
        return f"{name}({value})"
    names[reader] = READERS[reader]
    return f"{reader}({value})"


def _first(expressions: list[str]) -> str:
    """The first that is not ``None``."""
    *others, found = expressions
    for other in reversed(others):
        found = f"(found if (found := {other}) is not None else {found})"
    return found


@lru_cache(maxsize=256)
def dictionary(tenant_keys: tuple[str, ...]) -> Dictionary:
    return Dictionary(tenant_keys)
