"""What every edit of the policy comes down to, whoever makes it and wherever.

    lock the project -> lay the edits over its rules -> ask the kernel -> write rows
    and history -> a version for each environment that changed -> announce on commit

The project is locked before anything is read: two operators who save at once get two
versions, and the second is checked against, and contains, the edit of the first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from controlplane import hints, rulebook
from controlplane.actions.audit import Author, author
from controlplane.actions.checking import check
from controlplane.actions.refusals import checked_line
from controlplane.models import (
    RULE_MODELS,
    Environment,
    PolicyVersion,
    Project,
    Rule,
    RuleChange,
)
from switchgear.policy import rules as kernel
from switchgear.policy.documents.canonical import dumps
from switchgear.policy.documents.snapshot import seal, snapshot_document

MOST_REASON = 500
# Where services run that do not say where they run.
DEFAULT = "default"


class Edit(NamedTuple):
    """What the rule ``slug`` is to be; without a rule it is to go."""

    slug: str
    rule: kernel.Rule | None
    owner: str = ""
    reason: str = ""
    rev: int = 0  # the one it makes, once that is known


class Rollback(NamedTuple):
    environment: str
    number: int


class Published(NamedTuple):
    changes: Sequence[RuleChange]
    versions: Sequence[PolicyVersion]


class Session(NamedTuple):
    """Who edits which project, why, and when."""

    project: Project
    author: Author
    reason: str
    now: datetime


# Looks at the rules as they are, and refuses what their editor did not expect.
Guard = Callable[[Mapping[str, kernel.Rule]], None]


def session_in(
    project: Project, *, actor: User | None, actor_name: str, reason: str
) -> Session:
    """Begin to edit: the project is held until the transaction ends."""
    reason = checked_line("/reason", reason, MOST_REASON)
    # Not its key: rows that point at the project, as instances do, need not wait.
    held = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    return Session(held, author(actor, actor_name), reason, timezone.now())


def apply(
    session: Session,
    edits: Iterable[Edit],
    *,
    guard: Guard | None = None,
    rollback: Rollback | None = None,
) -> Published:
    """Make the edits; one that changes nothing is none."""
    rows = rulebook.rows_of(session.project)
    rules = {slug: rulebook.rule_of(row) for slug, row in rows.items()}
    if guard is not None:
        guard(rules)
    telling = [each for each in edits if tells(each, rows, rules)]
    revised = list(with_revisions(session.project, telling))
    after = laid_over(rules, revised)
    check(after.values())
    base = last_change(session.project)
    changes = [write(session, each, rows.get(each.slug)) for each in revised]
    RuleChange.objects.bulk_create(changes)
    versions = issue(session, after.values(), base=base, rollback=rollback)
    return Published(changes, versions)


def tells(
    edit: Edit, rows: Mapping[str, Rule], rules: Mapping[str, kernel.Rule]
) -> bool:
    current = rules.get(edit.slug)
    if edit.rule is None or current is None:
        return edit.rule is not current
    return edit.owner != rows[edit.slug].owner or not rulebook.same(edit.rule, current)


def with_revisions(project: Project, edits: Sequence[Edit]) -> Iterator[Edit]:
    """A rule that comes back counts on; one from a file brings its revision along."""
    history = RuleChange.objects.filter(
        project=project, slug__in=[each.slug for each in edits]
    )
    last = dict(history.order_by().values_list("slug").annotate(Max("rev")))
    for edit in edits:
        first = edit.rule.rev if edit.rule else 1
        rev = last[edit.slug] + 1 if edit.slug in last else first
        rule = replace(edit.rule, rev=rev) if edit.rule else None
        yield edit._replace(rule=rule, rev=rev)


def laid_over(
    rules: Mapping[str, kernel.Rule], edits: Iterable[Edit]
) -> dict[str, kernel.Rule]:
    edited = dict(rules) | {each.slug: each.rule for each in edits}
    return {slug: rule for slug, rule in edited.items() if rule is not None}


def write(session: Session, edit: Edit, row: Rule | None) -> RuleChange:
    """Write the row; what comes back is the change, yet to be saved."""
    before = rulebook.view_of(row).document() if row else None
    if row is not None and (edit.rule is None or edit.rule.KIND != row.KIND):
        row.delete()
        row = None
    if edit.rule is not None:
        write_row(session, edit, edit.rule, row)
    return RuleChange(
        project=session.project,
        slug=edit.slug,
        kind=edit.rule.KIND if edit.rule else (before or {})["kind"],
        rev=edit.rev,
        before=before,
        after=rulebook.owned_document(edit.rule, edit.owner) if edit.rule else None,
        changed_at=session.now,
        actor=session.author.user,
        actor_name=session.author.name,
        reason=edit.reason or session.reason,
    )


def write_row(
    session: Session, edit: Edit, rule: kernel.Rule, row: Rule | None
) -> None:
    row = row or RULE_MODELS[rule.KIND](
        project=session.project,
        created_at=session.now,
        created_by=session.author.name,
    )
    rulebook.write(row, rule)
    row.owner = edit.owner
    row.reason = edit.reason or session.reason
    row.updated_at, row.updated_by = session.now, session.author.name
    row.save()


def issue(
    session: Session,
    rules: Iterable[kernel.Rule],
    *,
    base: int,
    rollback: Rollback | None = None,
) -> list[PolicyVersion]:
    """A new version for each environment in which the rules are others now."""
    rules = list(rules)
    issued = (
        next_version(session, each, rules, base=base, rollback=rollback)
        for each in environments_of(session)
    )
    return [version for version in issued if version is not None]


def environments_of(session: Session) -> list[Environment]:
    """Those of the project; there is one before any service asked, to publish to."""
    found = Environment.objects.filter(project=session.project).order_by("name")
    return list(found) or [
        Environment.objects.create(
            project=session.project, name=DEFAULT, created_at=session.now
        )
    ]


def next_version(
    session: Session,
    environment: Environment,
    rules: Iterable[kernel.Rule],
    *,
    base: int,
    rollback: Rollback | None = None,
) -> PolicyVersion | None:
    latest = environment.versions.order_by("-number").first()
    back = rollback and rollback.environment == environment.name
    snapshot = seal(
        environment=environment.name,
        service="",
        version=latest.number + 1 if latest else 1,
        rules=rulebook.concerning(rules, environment=environment.name),
        issued_at=session.now.timestamp(),
        rollback_of=rollback.number if rollback and back else None,
    )
    document = snapshot_document(snapshot)
    if latest and json.loads(latest.document)["rules"] == document["rules"]:
        return None
    version = PolicyVersion.objects.create(
        environment=environment,
        number=snapshot.version,
        document=dumps(document).decode(),
        digest=snapshot.digest,
        rule_count=len(snapshot.rules),
        base=base,
        created_at=session.now,
        created_by=session.author.user,
        actor_name=session.author.name,
        reason=session.reason,
        rollback_of=snapshot.rollback_of,
    )
    announce(version)
    return version


def last_change(project: Project) -> int:
    """How far the history of the project's rules goes: a change's key, 0 for none."""
    newest = RuleChange.objects.filter(project=project).order_by("-pk")
    return newest.values_list("pk", flat=True).first() or 0


def announce(version: PolicyVersion) -> None:
    place, number = version.environment, version.number

    def tell() -> None:
        hints.announce(place.project_id, place.name, number)

    # The version is committed then: a hint that goes astray must not look like a
    # failed edit, and instances look by themselves.
    transaction.on_commit(tell, robust=True)
