"""Drafts over REST: edits that are looked at together before services see them.

An edit goes into a draft when it names one (``?draft=``); publishing is
``POST /api/v1/policy/publish`` with it.
"""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from controlplane import actions, rulebook
from controlplane.models import Draft
from dashboards.api import policy_shapes as shapes
from dashboards.api.editing import Editing, body_of, refusals
from dashboards.api.endpoint import JSON, describe, items
from dashboards.api.parameters import Parameters
from dashboards.api.policy import POLICY, sentence
from dashboards.api.problems import NotFound
from switchgear.policy.review.changes import sentences

ONE = {"id": r"\d{1,9}"}


class OfDrafts(Editing):
    def one(self, number: int) -> Draft:
        found = self.draft(number)
        if found is None:
            raise NotFound("draft")
        return found

    def in_full(self, found: Draft) -> JSON:
        views = rulebook.views_of(self.project)
        after = rulebook.left_by(views | rulebook.drafted(found, views))
        changes = sentences((view.rule for view in views.values()), after.values())
        moved = actions.moved_since(found)
        return draft(found) | {
            "changes": [sentence(one) for one in changes],
            "moved": [sentence(one) for one in moved],
        }


class Drafts(OfDrafts):
    @describe(
        "policy_drafts",
        "Open drafts, the newest first",
        asks=Parameters,
        answers=shapes.DRAFTS,
        tag=POLICY,
    )
    def get(self, request: Request) -> Response:
        Parameters.asked(request)
        drafts = Draft.objects.open(self.project).prefetch_related("changes")
        return items(drafts, draft, None)

    @describe(
        "open_draft",
        "Open a draft: name it as ?draft= when editing rules",
        asks=Parameters,
        body=shapes.OPEN_DRAFT,
        answers={201: shapes.DRAFT},
        tag=POLICY,
    )
    def post(self, request: Request) -> Response:
        Parameters.asked(request)
        title = body_of(request, {"title": str}).get("title", "")
        with refusals(request):
            opened = actions.open_draft(self.project, title=title, **self.author)
        return Response(draft(opened), status=201)


class OneDraft(OfDrafts):
    @describe(
        "policy_draft",
        "One draft: what publishing it would change",
        asks=Parameters,
        answers=shapes.DRAFT_IN_FULL,
        path=ONE,
        tag=POLICY,
    )
    def get(self, request: Request, id: int) -> Response:  # noqa: A002  its name in the URL
        Parameters.asked(request)
        return Response(self.in_full(self.one(id)))

    @describe(
        "discard_draft",
        "Discard an open draft",
        asks=Parameters,
        answers={204: None},
        path=ONE,
        tag=POLICY,
    )
    def delete(self, request: Request, id: int) -> Response:  # noqa: A002  its name in the URL
        Parameters.asked(request)
        with refusals(request):
            actions.discard_draft(self.one(id), **self.author)
        return Response(status=204)


class Rebase(OfDrafts):
    @describe(
        "rebase_draft",
        "Take the rules as they are now for what the draft is compared with",
        asks=Parameters,
        answers=shapes.DRAFT_IN_FULL,
        path=ONE,
        tag=POLICY,
    )
    def post(self, request: Request, id: int) -> Response:  # noqa: A002  its name in the URL
        Parameters.asked(request)
        with refusals(request):
            actions.rebase_draft(self.one(id), **self.author)
        return Response(self.in_full(self.one(id)))


def draft(row: Draft) -> JSON:
    return {
        "id": row.pk,
        "title": row.title,
        "state": row.state,
        "opened_at": shapes.moment(row.opened_at),
        "opened_by": row.actor_name,
        "rules": sorted(change.slug for change in row.changes.all()),
    }
