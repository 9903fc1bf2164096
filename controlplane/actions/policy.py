"""Versions: the first of an environment, going back to an earlier one, a whole file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from controlplane import rulebook
from controlplane.actions.audit import record
from controlplane.actions.editing import read_edit
from controlplane.actions.publishing import (
    Edit,
    Published,
    Rollback,
    Session,
    apply,
    last_change,
    next_version,
    session_in,
)
from controlplane.actions.refusals import PolicyRefused
from controlplane.models import Environment, PolicyVersion, Project, RuleChange
from controlplane.models.policy import PolicyVersionQuerySet
from switchgear.policy.errors import step

MOST_ENVIRONMENTS = 100
# A file brings revisions along; they must leave room for all edits to come.
MOST_REV = 1_000_000
MOST_NAME = {"/environment": 100, "/service": 200}


@transaction.atomic
def publish(
    project: Project, *, actor: User | None, actor_name: str = "", reason: str = ""
) -> Published:
    """See that each environment's version says what the rules say.

    Every edit does so by itself; there is something to do only before the first one,
    or when rows were changed by other hands, such as a restored backup.
    """
    session = session_in(project, actor=actor, actor_name=actor_name, reason=reason)
    published = apply(session, [])
    if published.versions:
        audit("policy.published", session, published)
    return published


@transaction.atomic
def roll_back(
    project: Project,
    environment: str,
    number: int,
    *,
    actor: User | None,
    actor_name: str = "",
    reason: str = "",
) -> PolicyVersion:
    """Publish what an earlier version said, as a new version.

    The rules themselves are set back, so that rules and running versions agree. A rule
    that is about other environments too is set back there as well.
    """
    check_name("/environment", environment)
    reason = reason or f"{environment} back to v{number}"
    session = session_in(project, actor=actor, actor_name=actor_name, reason=reason)
    versions = PolicyVersion.objects.of_environment(project.pk, environment)
    target = versions.filter(number=number).first()
    if target is None:
        raise PolicyRefused("/number", f"{environment} has no version {number}")
    edits = edits_back_to(target, versions)
    published = apply(session, edits, rollback=Rollback(environment, number))
    made = [each for each in published.versions if each.rollback_of is not None]
    if not made:
        message = f"{environment} runs what v{number} says already"
        raise PolicyRefused("/number", message)
    audit("policy.rolled_back", session, published)
    return made[0]


def edits_back_to(target: PolicyVersion, versions: PolicyVersionQuerySet) -> list[Edit]:
    """What makes an environment's rules what they were until the next version."""
    following = versions.filter(number=target.number + 1).first()
    latest = versions.first()
    if following is None or latest is None:
        return []
    then: dict[str, Mapping[str, Any] | None] = {}
    for change in RuleChange.objects.since(target.environment.project, following.base):
        then.setdefault(change.slug, change.before)
    # Others have changed too, but what this environment was told is not of them.
    told = ids_in(target) | ids_in(latest)
    return [edit_to(slug, then[slug]) for slug in then if slug in told]


def ids_in(version: PolicyVersion) -> set[str]:
    return {rule["id"] for rule in json.loads(version.document)["rules"]}


def edit_to(slug: str, document: Mapping[str, Any] | None) -> Edit:
    if document is None:
        return Edit(slug, None)
    rule, owner = rulebook.read_owned(document)
    return Edit(slug, rule, owner)


@transaction.atomic
def import_rules(
    project: Project,
    documents: Sequence[object],
    *,
    actor: User | None,
    actor_name: str = "",
    reason: str = "",
) -> Published:
    """Make the rules of the project those of the documents, and no others."""
    session = session_in(project, actor=actor, actor_name=actor_name, reason=reason)
    edits = edits_of_file(session, documents)
    published = apply(session, edits)
    if published.changes:
        audit("policy.imported", session, published)
    return published


def edits_of_file(session: Session, documents: Sequence[object]) -> list[Edit]:
    edits: dict[str, Edit] = {}
    for index, document in enumerate(documents):
        at = step("/rules", index)
        edit = read_edit(document, now=session.now, at=at)
        if edit.rule and edit.rule.rev > MOST_REV:
            raise PolicyRefused(step(at, "rev"), f"must be at most {MOST_REV}")
        if edit.slug in edits:
            message = f"{edit.slug} is there twice"
            raise PolicyRefused(step(at, "id"), message, edit.slug)
        edits[edit.slug] = edit
    gone = rulebook.rows_of(session.project).keys() - edits.keys()
    return [*edits.values(), *(Edit(slug, None) for slug in sorted(gone))]


@transaction.atomic
def first_version(project_id: int, name: str) -> PolicyVersion:
    """The policy of an environment nobody asked for before: what its rules say."""
    check_name("/environment", name)
    session = session_in(
        Project(pk=project_id),
        actor=None,
        actor_name="",
        reason="The first instance asked for it",
    )
    environment = find_environment(session, name)
    # Of two that ask at once, the second finds what the first has made.
    latest = environment.versions.order_by("-number").first()
    if latest is not None:
        return latest
    rules = rulebook.rules_of(session.project).values()
    base = last_change(session.project)
    version = next_version(session, environment, rules, base=base)
    if version is None:
        raise AssertionError("an environment without a version always gets one")
    audit("policy.published", session, Published([], [version]))
    return version


def find_environment(session: Session, name: str) -> Environment:
    environments = Environment.objects.filter(project=session.project)
    found = environments.filter(name=name).first()
    if found is not None:
        return found
    if environments.count() >= MOST_ENVIRONMENTS:
        message = f"A project has at most {MOST_ENVIRONMENTS} environments"
        raise PolicyRefused("/environment", message)
    return Environment.objects.create(
        project=session.project, name=name, created_at=session.now
    )


def check_name(pointer: str, name: str) -> None:
    """The name of an environment or a service, before a database is asked for it."""
    most = MOST_NAME[pointer]
    if not name.strip() or len(name) > most or not name.isprintable():
        message = f"must be a printable name of at most {most} characters"
        raise PolicyRefused(pointer, message)


def audit(action: str, session: Session, published: Published) -> None:
    record(
        action,
        ", ".join(str(version) for version in published.versions) or "no version",
        project=session.project,
        actor=session.author.user,
        actor_name=session.author.name,
        now=session.now,
        after={
            "rules": [change.slug for change in published.changes],
            "reason": session.reason,
        },
    )
