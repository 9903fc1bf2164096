"""Make, change and delete rules: at once, or in a draft."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from controlplane import rulebook
from controlplane.actions import drafts
from controlplane.actions.audit import record
from controlplane.actions.editing import (
    as_seen,
    exists,
    has_ended,
    id_is_free,
    read_edit,
    renumbered,
)
from controlplane.actions.publishing import Edit, Guard, Session, apply, session_in
from controlplane.actions.refusals import PolicyRefused
from controlplane.models import Draft, Project
from controlplane.rulebook import RuleView
from switchgear.policy.rules import Mode


@transaction.atomic
def create_rule(
    project: Project,
    kind: str,
    document: Mapping[str, Any],
    *,
    actor: User | None,
    actor_name: str = "",
    reason: str = "",
    draft: Draft | None = None,
) -> RuleView:
    """Make the rule that the document describes; its id must be free."""
    session = session_in(project, actor=actor, actor_name=actor_name, reason=reason)
    edit = read_edit(document, kind=kind, now=session.now)
    return save(session, edit, guard=id_is_free(edit.slug), draft=draft)


@transaction.atomic
def save_rule(
    project: Project,
    kind: str,
    document: Mapping[str, Any],
    *,
    actor: User | None,
    actor_name: str = "",
    reason: str = "",
    rev: int | None = None,
    draft: Draft | None = None,
) -> RuleView:
    """Change the rule of the document's id, or make it.

    With ``rev``, or one in the document, only if the rule still is at that revision.
    """
    session = session_in(project, actor=actor, actor_name=actor_name, reason=reason)
    edit = read_edit(document, kind=kind, now=session.now)
    seen = document.get("rev") if rev is None else rev
    guard = as_seen(edit.slug, rev=seen, kind=kind)
    return save(session, edit, guard=guard, draft=draft)


@transaction.atomic
def delete_rule(
    project: Project,
    slug: str,
    *,
    actor: User | None,
    actor_name: str = "",
    reason: str = "",
    rev: int | None = None,
    draft: Draft | None = None,
) -> None:
    """Remove the rule; in a draft, once that is published."""
    session = session_in(project, actor=actor, actor_name=actor_name, reason=reason)
    write(session, Edit(slug, None), guard=exists(slug, rev=rev), draft=draft)


@transaction.atomic
def delete_rules(
    project: Project,
    slugs: Collection[str],
    *,
    actor: User | None,
    actor_name: str = "",
    reason: str = "",
) -> None:
    """Remove all of them at once, so that none of them needs another."""
    session = session_in(project, actor=actor, actor_name=actor_name, reason=reason)
    carry_out(session, [Edit(slug, None) for slug in slugs])


@transaction.atomic
def set_mode(
    project: Project,
    slugs: Collection[str],
    mode: Mode,
    *,
    actor: User | None,
    actor_name: str = "",
    reason: str = "",
) -> None:
    """Let these rules act, only record, or do nothing, from one version on."""
    session = session_in(project, actor=actor, actor_name=actor_name, reason=reason)
    views = rulebook.views_of(session.project)
    chosen = [views[slug] for slug in slugs if slug in views]
    rules = [replace(view.rule, mode=mode) for view in chosen]
    owners = [view.owner for view in chosen]
    carry_out(session, map(Edit, (rule.id for rule in rules), rules, owners))


def save(
    session: Session, edit: Edit, *, guard: Guard, draft: Draft | None
) -> RuleView:
    if has_ended(edit, session.now):
        raise PolicyRefused("/expires_at", "must be in the future", edit.slug)
    write(session, renumbered(edit), guard=guard, draft=draft)
    return rulebook.rule_in(session.project, edit.slug, draft)


def write(session: Session, edit: Edit, *, guard: Guard, draft: Draft | None) -> None:
    if draft is not None:
        drafts.put(session, draft, edit, guard=guard)
        return
    carry_out(session, [edit], guard=guard)


def carry_out(
    session: Session, edits: Iterable[Edit], *, guard: Guard | None = None
) -> None:
    for change in apply(session, edits, guard=guard).changes:
        record(
            "rule.saved" if change.after else "rule.deleted",
            change.slug,
            project=session.project,
            actor=session.author.user,
            actor_name=session.author.name,
            now=session.now,
            before=change.before,
            after=change.after,
        )
