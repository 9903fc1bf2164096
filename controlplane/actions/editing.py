"""Read what an editor wrote, and see that it still is about what they saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from controlplane.actions.publishing import Edit, Guard
from controlplane.actions.refusals import (
    PolicyRefused,
    RuleChanged,
    checked_line,
    refused,
)
from switchgear.policy import rules as kernel
from switchgear.policy.documents.reading import read_rule
from switchgear.policy.errors import PolicyError, step

MOST_OWNER = 100


def read_edit(
    document: object, *, now: datetime, kind: str | None = None, at: str = ""
) -> Edit:
    """The edit a document asks for: the kernel's fields, and ``owner`` beside them."""
    if not isinstance(document, Mapping):
        raise PolicyRefused(at, "must be an object")
    fields = dict(document)
    owner = checked_line(step(at, "owner"), fields.pop("owner", ""), MOST_OWNER)
    if kind is not None and fields.setdefault("kind", kind) != kind:
        raise PolicyRefused(step(at, "kind"), f"must be {kind} here")
    try:
        rule = read_rule(fields, strict=True, at=at, now=now.timestamp())
    except PolicyError as error:
        raise refused(error) from error
    return Edit(rule.id, rule, owner)


def has_ended(edit: Edit, now: datetime) -> bool:
    """Whether its rule would be dead before it is born."""
    ends = edit.rule.expires_at if edit.rule else None
    return ends is not None and ends <= now.timestamp()


def renumbered(edit: Edit) -> Edit:
    """Revisions are counted here, whatever an editor says."""
    rule = replace(edit.rule, rev=1) if edit.rule else None
    return edit._replace(rule=rule)


def id_is_free(slug: str) -> Guard:
    def guard(rules: Mapping[str, kernel.Rule]) -> None:
        if slug in rules:
            message = f"{slug} is the id of a {rules[slug].KIND} rule already"
            raise PolicyRefused("/id", message, slug)

    return guard


def as_seen(slug: str, *, rev: int | None, kind: str | None = None) -> Guard:
    """The rule is of this kind, if it is there, and at the revision that was seen."""

    def guard(rules: Mapping[str, kernel.Rule]) -> None:
        current = rules.get(slug)
        if current is None and rev is not None:
            raise RuleChanged(slug, None)
        if current is None:
            return
        if kind not in (None, current.KIND):
            message = f"{slug} is a {current.KIND} rule; a rule keeps its kind"
            raise PolicyRefused("/kind", message, slug)
        if rev is not None and current.rev != rev:
            raise RuleChanged(slug, current.rev)

    return guard


def exists(slug: str, *, rev: int | None) -> Guard:
    unchanged = as_seen(slug, rev=rev)

    def guard(rules: Mapping[str, kernel.Rule]) -> None:
        unchanged(rules)
        if slug not in rules:
            raise PolicyRefused("/id", f"There is no rule {slug}", slug)

    return guard
