"""What a policy page is about: the rules of a project, a draft, the versions.

Read once for a page; nothing here writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from django.urls import reverse
from django.utils import timezone

from controlplane import actions, rulebook
from controlplane.models import Draft, PolicyVersion, Project
from controlplane.rulebook import Change, RuleView
from dashboards.policy import words
from dashboards.policy.kinds import GROUPS
from dashboards.wording import plural
from switchgear.policy.review import Finding, review
from switchgear.policy.rules import Rule

LATEST = 6  # versions the policy page lists
CLEARED = (
    "Fallbacks lead nowhere twice",
    "Every rule can win somewhere",
    "No two rules tie",
)


@dataclass(frozen=True, slots=True)
class Version:
    """One policy version, without its document."""

    number: int
    who: str
    at: datetime
    reason: str
    rules: int
    rollback_of: int | None

    @property
    def previous(self) -> int | None:
        return self.number - 1 if self.number > 1 else None

    @property
    def next(self) -> int:
        return self.number + 1


def version_of(row: PolicyVersion) -> Version:
    return Version(
        number=row.number,
        who=row.actor_name,
        at=row.created_at,
        reason=row.reason,
        rules=row.rule_count,
        rollback_of=row.rollback_of,
    )


def versions(
    project_id: int, environment: str, *, limit: int, before: int | None = None
) -> list[Version]:
    """The newest first."""
    rows = PolicyVersion.objects.of_environment(project_id, environment)
    if before is not None:
        rows = rows.filter(number__lt=before)
    return [version_of(row) for row in rows.defer("document")[:limit]]


@dataclass(frozen=True)
class Desk:
    """The rules of a project as an editor sees them, with the newest open draft."""

    project: Project
    here: str
    draft: Draft | None
    published: dict[str, RuleView]
    views: dict[str, RuleView]  # with the draft laid over

    @classmethod
    def of(cls, project: Project, *, here: str) -> Desk:
        draft = Draft.objects.open(project).first()
        published = rulebook.views_of(project)
        over = rulebook.drafted(draft, published) if draft else {}
        return cls(project, here, draft, published, published | over)

    @cached_property
    def rules(self) -> list[Rule]:
        """The kernel's, as publishing would leave them."""
        return list(rulebook.left_by(self.views).values())

    @cached_property
    def findings(self) -> list[Finding]:
        return review(self.rules)

    def url(self, rule_id: str) -> str:
        return f"{reverse('policy-rule', args=[rule_id])}?{self.here}"

    def counts(self) -> dict[str, Any]:
        shadow = sum(rule.mode == "shadow" for rule in self.rules)
        number = len(self.views)
        return {"number": number, "rules": plural(number, "rule"), "shadow": shadow}

    def groups(self) -> list[dict[str, Any]]:
        """The rules by kind; kinds without any are left out."""
        now = timezone.now()
        ordered = [self.views[slug] for slug in sorted(self.views)]
        found = (
            {
                "name": group.name,
                "icon": group.icon,
                "rules": [
                    self.listed(view, now)
                    for view in ordered
                    if view.kind in group.kinds
                ],
            }
            for group in GROUPS
        )
        return [group for group in found if group["rules"]]

    def listed(self, view: RuleView, now: datetime) -> dict[str, Any]:
        document = view.document()
        ends = view.rule.expires_at
        return {
            "id": view.id,
            "url": self.url(view.id),
            "summary": words.summary(view.kind, document),
            "conditions": words.conditions(document["selector"]),
            "mode": document["mode"],
            "tier": document["tier"],
            "owner": view.owner,
            "ends": None if ends is None else datetime.fromtimestamp(ends, UTC),
            "over": view.expired(now),
            "change": view.change.value,
            "warnings": self.warnings_of(view.id),
        }

    def warnings_of(self, rule_id: str) -> list[str]:
        return [one.message for one in self.findings if rule_id in one.rules]

    def warnings(self) -> list[dict[str, Any]]:
        return [
            {
                "text": one.message,
                "rules": [{"id": rule, "url": self.url(rule)} for rule in one.rules],
            }
            for one in self.findings
        ]

    def drafted(self) -> dict[str, Any] | None:
        """The open draft as pages show it."""
        if self.draft is None:
            return None
        over = [view for view in self.views.values() if view.change is not Change.NONE]
        return {
            "id": self.draft.pk,
            "title": self.draft.title,
            "changed": len(over),
            "said": plural(len(over), "change"),
            "at": max((view.updated_at for view in over), default=None),
            "sentences": self.sentences(over),
            "moved": [str(one) for one in actions.moved_since(self.draft)],
        }

    def sentences(self, over: Iterable[RuleView]) -> list[dict[str, Any]]:
        by_id = {view.id: view for view in over}
        told = words.told((view.rule for view in self.published.values()), self.rules)
        return [one | _whose(by_id.get(one["rule"])) for one in told]


def _whose(view: RuleView | None) -> dict[str, Any]:
    if view is None or view.change is Change.REMOVED:
        return {"who": "", "at": None, "reason": ""}
    return {"who": view.updated_by, "at": view.updated_at, "reason": view.reason}
