"""Drafts: collect edits, look at them as a whole, then publish all of them or none.

A draft is made on the rules as they were when it was opened. When other edits were
published since, publishing it is refused with what moved; rebasing it says that its
author has seen that, and checks the edits against the rules as they are now.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from controlplane import rulebook
from controlplane.actions.audit import record
from controlplane.actions.checking import check
from controlplane.actions.editing import has_ended
from controlplane.actions.publishing import (
    Edit,
    Guard,
    Published,
    Session,
    apply,
    laid_over,
    last_change,
    session_in,
)
from controlplane.actions.refusals import DraftMoved, PolicyRefused, checked_line
from controlplane.models import Draft, DraftChange, DraftState, Project, RuleChange
from switchgear.policy import rules as kernel
from switchgear.policy.review.changes import Sentence, sentences

MOST_TITLE = 200


@transaction.atomic
def open_draft(
    project: Project, *, title: str = "", actor: User | None, actor_name: str = ""
) -> Draft:
    session = session_in(project, actor=actor, actor_name=actor_name, reason="")
    title = checked_line("/title", title, MOST_TITLE)
    title = title or f"Draft of {session.author.name}"
    draft = Draft.objects.create(
        project=project,
        title=title,
        base=last_change(project),
        opened_at=session.now,
        opened_by=session.author.user,
        actor_name=session.author.name,
    )
    audit("draft.opened", session, draft)
    return draft


@transaction.atomic
def publish_draft(
    draft: Draft, *, actor: User | None, actor_name: str = "", reason: str = ""
) -> Published:
    """Make all edits of the draft, in one version per environment."""
    session = session_in(
        draft.project, actor=actor, actor_name=actor_name, reason=reason or draft.title
    )
    draft = still_open(session, draft)
    if moved := moved_since(draft):
        raise DraftMoved([str(each) for each in moved])
    edits = edits_of(draft)
    if ended := [each.slug for each in edits if has_ended(each, session.now)]:
        message = f"{', '.join(ended)} would have ended already"
        raise PolicyRefused("/expires_at", message, ended[0])
    published = apply(session, edits)
    close(session, draft, DraftState.PUBLISHED)
    audit(
        "draft.published",
        session,
        draft,
        rules=[change.slug for change in published.changes],
        versions=[str(version) for version in published.versions],
    )
    return published


@transaction.atomic
def rebase_draft(
    draft: Draft, *, actor: User | None, actor_name: str = ""
) -> list[Sentence]:
    """Take the rules as they are now for the base; returns what has moved."""
    session = session_in(draft.project, actor=actor, actor_name=actor_name, reason="")
    draft = still_open(session, draft)
    moved = moved_since(draft)
    check(laid_over(rulebook.rules_of(session.project), edits_of(draft)).values())
    draft.base = last_change(session.project)
    draft.save(update_fields=["base"])
    audit("draft.rebased", session, draft, moved=[str(each) for each in moved])
    return moved


@transaction.atomic
def discard_draft(draft: Draft, *, actor: User | None, actor_name: str = "") -> None:
    """Let none of it happen. The edits stay readable."""
    session = session_in(draft.project, actor=actor, actor_name=actor_name, reason="")
    draft = still_open(session, draft)
    close(session, draft, DraftState.DISCARDED)
    audit("draft.discarded", session, draft)


@transaction.atomic
def take_back(
    draft: Draft, slug: str, *, actor: User | None, actor_name: str = ""
) -> None:
    """Take the edit of one rule out of the draft."""
    session = session_in(draft.project, actor=actor, actor_name=actor_name, reason="")
    draft = still_open(session, draft)
    edits = edits_of(draft)
    rest = [each for each in edits if each.slug != slug]
    if len(rest) == len(edits):
        raise PolicyRefused("/id", f"This draft does nothing to {slug}", slug)
    check(laid_over(rulebook.rules_of(session.project), rest).values())
    draft.changes.filter(slug=slug).delete()
    audit("draft.edited", session, draft, taken_back=slug)


def put(session: Session, draft: Draft, edit: Edit, *, guard: Guard) -> None:
    """Collect one edit; with it, all rules together must still be possible."""
    draft = still_open(session, draft)
    views = rulebook.views_of(session.project)
    drafted = rulebook.left_by(views | rulebook.drafted(draft, views))
    guard(drafted)
    check(laid_over(drafted, [edit]).values())
    if as_published(edit, views.get(edit.slug)):
        draft.changes.filter(slug=edit.slug).delete()
    else:
        draft.changes.update_or_create(
            slug=edit.slug,
            defaults={
                "kind": (edit.rule or drafted[edit.slug]).KIND,
                "document": document_of(edit),
                "changed_at": session.now,
                "actor": session.author.user,
                "actor_name": session.author.name,
                "reason": session.reason,
            },
        )
    audit("draft.edited", session, draft, rule=edit.slug, document=document_of(edit))


def as_published(edit: Edit, view: rulebook.RuleView | None) -> bool:
    if edit.rule is None or view is None:
        return edit.rule is None and view is None
    return edit.owner == view.owner and rulebook.same(edit.rule, view.rule)


def document_of(edit: Edit) -> rulebook.Document | None:
    return rulebook.owned_document(edit.rule, edit.owner) if edit.rule else None


def edits_of(draft: Draft) -> list[Edit]:
    return [edit_of(change) for change in draft.changes.order_by("slug")]


def edit_of(change: DraftChange) -> Edit:
    if change.document is None:
        return Edit(change.slug, None, reason=change.reason)
    rule, owner = rulebook.read_owned(change.document)
    return Edit(change.slug, rule, owner, change.reason)


def moved_since(draft: Draft) -> list[Sentence]:
    """What was published since the draft's base, in sentences."""
    before: dict[str, kernel.Rule | None] = {}
    after: dict[str, kernel.Rule | None] = {}
    for change in RuleChange.objects.since(draft.project, draft.base):
        before.setdefault(change.slug, read(change.before))
        after[change.slug] = read(change.after)
    return sentences(present(before), present(after))


def read(document: rulebook.Document | None) -> kernel.Rule | None:
    return None if document is None else rulebook.read_owned(document)[0]


def present(rules: dict[str, kernel.Rule | None]) -> list[kernel.Rule]:
    return [rule for rule in rules.values() if rule is not None]


def still_open(session: Session, draft: Draft) -> Draft:
    # Read again under the lock: it may have been published a moment ago.
    draft = Draft.objects.get(pk=draft.pk, project=session.project)
    if draft.state != DraftState.OPEN:
        raise PolicyRefused("/draft", f"This draft was {draft.state} already")
    return draft


def close(session: Session, draft: Draft, state: DraftState) -> None:
    draft.state, draft.closed_at = state, session.now
    draft.save(update_fields=["state", "closed_at"])


def audit(action: str, session: Session, draft: Draft, **after: Any) -> None:
    record(
        action,
        draft.title,
        project=session.project,
        actor=session.author.user,
        actor_name=session.author.name,
        now=session.now,
        after={"draft": draft.pk, **after},
    )
