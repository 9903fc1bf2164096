"""Which keys of a span to read, in which order: worked out once per set of keys.

Spans of one sender carry the same few sets of keys, so the lookup of every key in the
table of aliases is done for the first of them and remembered.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from ingest.dialects import attributes, model_attributes
from ingest.dialects.attributes import Field
from ingest.dialects.categories import CATEGORIES, PRESENT
from ingest.dialects.readers import READERS, Reader, in_document
from ingest.records import Category, Span

_PLANS_KEPT = 4096

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

_OWN = frozenset(Span.__struct_fields__)

_ALL = tuple(
    {field.name: field for group in _BY_CATEGORY.values() for field in group}.values()
)


# Field, how and where to read it, and where next when there is no usable value. A bare
# tuple, because unpacking a named one takes three times as long.
Step: TypeAlias = tuple[str, Reader, str, tuple[tuple[str, Reader], ...]]


class Plan(NamedTuple):
    """How to read every span that has exactly these known keys."""

    kinds: tuple[tuple[str, dict[str, Category]], ...]
    present: Category | None
    # Whether any key may tell of it; most spans have none.
    tells_failure: bool
    tells_attempts: bool
    tells_usage: bool
    # By category: what stands in the record as it is read, and the rest.
    steps: tuple[tuple[tuple[Step, ...], tuple[Step, ...]], ...]


class Dictionary:
    """The tables, with a project's own tenant keys in front."""

    def __init__(self, tenant_keys: tuple[str, ...]) -> None:
        self._tenant_keys = tenant_keys
        self._plans: dict[tuple[str, ...], Plan] = {}
        aliases = tenant_keys + tuple(k for field in _COMMON + _ALL for k in field.keys)
        keys = {alias.partition("#")[0] for alias in aliases}
        self._known = keys.union(CATEGORIES, PRESENT).__contains__

    def plan(self, attributes: Any) -> Plan:
        """The plan for a span's attributes; each key is looked at once."""
        keys = tuple(filter(self._known, attributes))
        found = self._plans.get(keys)
        if found is None:
            if len(self._plans) >= _PLANS_KEPT:
                self._plans.clear()  # somebody invents keys; forgetting is cheap
            found = self._plans[keys] = self._compile(frozenset(keys))
        return found

    def _compile(self, keys: frozenset[str]) -> Plan:
        return Plan(
            kinds=tuple(
                (key, values) for key, values in CATEGORIES.items() if key in keys
            ),
            present=next((PRESENT[key] for key in PRESENT if key in keys), None),
            tells_failure=_any(attributes.FAILURE + attributes.REFUSAL, keys),
            tells_attempts=_any(attributes.ATTEMPTS, keys),
            tells_usage=_any(model_attributes.MODEL, keys),
            steps=tuple(
                self._steps(_COMMON + _BY_CATEGORY[category], keys)
                for category in Category
            ),
        )

    def _steps(
        self, fields: tuple[Field, ...], keys: frozenset[str]
    ) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
        found: dict[str, Step] = {}
        for field in fields:
            aliases = field.keys
            if field.name == "tenant":
                aliases = self._tenant_keys + aliases
            readers = [
                (key, _reader(field.reader, path))
                for key, _, path in (alias.partition("#") for alias in aliases)
                if key in keys
            ]
            if readers:
                (key, read), *others = readers
                found[field.name] = (field.name, read, key, tuple(others))
        own = tuple(step for name, step in found.items() if name in _OWN)
        return own, tuple(step for name, step in found.items() if name not in _OWN)


def _any(fields: tuple[Field, ...], keys: frozenset[str]) -> bool:
    return any(key.partition("#")[0] in keys for field in fields for key in field.keys)


def read(steps: tuple[Step, ...], values: Any, into: dict[str, Any]) -> None:
    """For every field the first alias with a usable value."""
    for field, reader, key, others in steps:
        found = reader(values[key])
        if found is None:
            for other, other_reader in others:
                found = other_reader(values[other])
                if found is not None:
                    break
            else:
                continue
        into[field] = found


@lru_cache(maxsize=256)
def dictionary(tenant_keys: tuple[str, ...]) -> Dictionary:
    return Dictionary(tenant_keys)


def _reader(name: str, path: str) -> Reader:
    return in_document(name, tuple(path.split("."))) if path else READERS[name]
