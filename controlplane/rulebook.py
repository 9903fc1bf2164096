"""The rules of a project, read from their rows and written back to them.

A row and the kernel's rule say the same: what the kernel has read is spread over the
columns, and what is read from the columns goes through the kernel again. A draft is
laid over the rows, so that whoever asks sees what publishing it would give.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from controlplane.models import RULE_MODELS, Draft, Project, Rule
from switchgear.policy import rules as kernel
from switchgear.policy.documents.reading import read_rule, rule_document

Document = dict[str, Any]


class Change(StrEnum):
    """What a draft does to a rule."""

    NONE = ""
    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class RuleView:
    """A rule as operators see it: the kernel's, and what only the server keeps."""

    rule: kernel.Rule
    owner: str
    reason: str
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
    change: Change = Change.NONE

    @property
    def id(self) -> str:
        return self.rule.id

    @property
    def kind(self) -> str:
        return self.rule.KIND

    @property
    def rev(self) -> int:
        return self.rule.rev

    def document(self) -> Document:
        """As an editor, a file or REST has it."""
        return owned_document(self.rule, self.owner)

    def expired(self, now: datetime) -> bool:
        ends = self.rule.expires_at
        return ends is not None and ends <= now.timestamp()


def rules_in(project: Project, draft: Draft | None = None) -> list[RuleView]:
    """All rules by id; with a draft, as it would leave them, and what it removes."""
    views = views_of(project)
    if draft is not None:
        views |= drafted(draft, views)
    return [views[slug] for slug in sorted(views)]


def rule_in(project: Project, slug: str, draft: Draft | None = None) -> RuleView:
    """One rule; KeyError when there is none of this id."""
    rows = rows_of(project, slug=slug)
    views = {slug: view_of(row) for slug, row in rows.items()}
    if draft is not None:
        views |= drafted(draft, views, slug=slug)
    return views[slug]


def views_of(project: Project) -> dict[str, RuleView]:
    return {slug: view_of(row) for slug, row in rows_of(project).items()}


def rules_of(project: Project) -> dict[str, kernel.Rule]:
    return {slug: rule_of(row) for slug, row in rows_of(project).items()}


def left_by(views: Mapping[str, RuleView]) -> dict[str, kernel.Rule]:
    """The rules that are there once a draft is published."""
    there = {s: view for s, view in views.items() if view.change is not Change.REMOVED}
    return {slug: view.rule for slug, view in there.items()}


def drafted(
    draft: Draft, views: Mapping[str, RuleView], **which: str
) -> dict[str, RuleView]:
    """The rules that the draft is about, as it would leave them."""
    found = {}
    for change in draft.changes.filter(**which).order_by("slug"):
        current = views.get(change.slug)
        if change.document is None:
            if current is not None:
                found[change.slug] = replace(current, change=Change.REMOVED)
            continue
        rule, owner = read_owned(change.document)
        found[change.slug] = RuleView(
            rule=replace(rule, rev=current.rev if current else 1),
            owner=owner,
            reason=change.reason,
            created_at=current.created_at if current else change.changed_at,
            created_by=current.created_by if current else change.actor_name,
            updated_at=change.changed_at,
            updated_by=change.actor_name,
            change=Change.CHANGED if current else Change.ADDED,
        )
    return found


def rows_of(project: Project, **which: str) -> dict[str, Rule]:
    """By id. One query per kind, however many rules there are."""
    return {
        row.slug: row
        for model in RULE_MODELS.values()
        for row in model._default_manager.filter(project=project, **which)
    }


def view_of(row: Rule) -> RuleView:
    return RuleView(
        rule=rule_of(row),
        owner=row.owner,
        reason=row.reason,
        created_at=row.created_at,
        created_by=row.created_by,
        updated_at=row.updated_at,
        updated_by=row.updated_by,
    )


def rule_of(row: Rule) -> kernel.Rule:
    document: Document = {
        "id": row.slug,
        "kind": row.KIND,
        "rev": row.rev,
        "mode": row.mode,
        "tier": row.tier,
        "priority": row.priority,
        "selector": row.selector,
    }
    if row.expires_at is not None:
        document["expires_at"] = time_text(row.expires_at)
    for parameter in kernel.parameters(row.KIND):
        if (value := getattr(row, parameter.name)) is not None:
            document[parameter.name] = value
    return read_rule(document, strict=False)


def write(row: Rule, rule: kernel.Rule) -> None:
    """Spread the rule over the columns; saving is the caller's."""
    document = rule_document(rule)
    row.slug, row.rev = rule.id, rule.rev
    row.mode, row.tier, row.priority = rule.mode, rule.tier, rule.priority
    row.selector = rule.selector.document()
    row.expires_at = moment(rule.expires_at)
    for parameter in kernel.parameters(rule.KIND):
        setattr(row, parameter.name, document.get(parameter.name))


def owned_document(rule: kernel.Rule, owner: str) -> Document:
    document = rule_document(rule)
    return document | {"owner": owner} if owner else document


def read_owned(document: Mapping[str, Any]) -> tuple[kernel.Rule, str]:
    """What `owned_document` wrote."""
    rest = {name: value for name, value in document.items() if name != "owner"}
    return read_rule(rest, strict=False), document.get("owner", "")


def same(one: kernel.Rule, other: kernel.Rule) -> bool:
    """Whether they say the same, whatever their revisions."""
    return type(one) is type(other) and replace(one, rev=other.rev) == other


def concerning(
    rules: Iterable[kernel.Rule], *, environment: str, service: str | None = None
) -> list[kernel.Rule]:
    """Those that may be about a call there (of any service for None), by id.

    With a quota come those it is a part of: they are charged whatever they select.
    """
    known = {rule.id: rule for rule in rules}
    found = {
        slug: rule
        for slug, rule in known.items()
        if rule.selector.could_match(service=service, environment=environment)
    }
    ahead = list(found.values())
    while ahead:
        rule = ahead.pop()
        parent = known.get(getattr(rule, "parent", None) or "")
        if parent is not None and parent.id not in found:
            found[parent.id] = parent
            ahead.append(parent)
    return [found[slug] for slug in sorted(found)]


def moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
