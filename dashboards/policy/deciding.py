"""What the buttons of the policy page do: drafts and rollbacks."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from controlplane import actions
from controlplane.actions import DraftMoved, PolicyRefused
from controlplane.models import Draft
from controlplane.scope import Scope
from dashboards.policy.saying import say, say_published
from dashboards.shell import Context, edit, member, shell


@edit
def open_draft(request: HttpRequest, scope: Scope) -> HttpResponse:
    base = shell(request, scope, current="policy")
    title = request.POST.get("title", "")
    try:
        actions.open_draft(base["project"], title=title, actor=member(request))
    except PolicyRefused as error:
        say(request, "No draft is opened", error.message, bad=True)
    else:
        say(request, "Draft opened", "What you save now waits in it.")
    return _back(base)


@edit
def publish_draft(request: HttpRequest, scope: Scope, draft_id: int) -> HttpResponse:
    base = shell(request, scope, current="policy")
    reason = request.POST.get("reason", "")
    try:
        actions.publish_draft(
            _draft(scope, draft_id), actor=member(request), reason=reason
        )
    except DraftMoved as error:
        say(
            request,
            "Not published: rules changed under the draft",
            error.message,
            bad=True,
        )
    except PolicyRefused as error:
        say(request, "Not published", str(error), bad=True)
    else:
        say_published(request, "Draft published", seen=base)
    return _back(base)


@edit
def rebase_draft(request: HttpRequest, scope: Scope, draft_id: int) -> HttpResponse:
    base = shell(request, scope, current="policy")
    try:
        actions.rebase_draft(_draft(scope, draft_id), actor=member(request))
    except PolicyRefused as error:
        say(request, "The draft does not fit the rules any more", str(error), bad=True)
    else:
        say(
            request,
            "The draft is up to date",
            "It is compared with the rules in force.",
        )
    return _back(base)


@edit
def discard_draft(request: HttpRequest, scope: Scope, draft_id: int) -> HttpResponse:
    base = shell(request, scope, current="policy")
    try:
        actions.discard_draft(_draft(scope, draft_id), actor=member(request))
    except PolicyRefused as error:
        say(request, "Not discarded", str(error), bad=True)
    else:
        say(request, "Draft discarded", "Nothing of it was published.")
    return _back(base)


@edit
def take_back(
    request: HttpRequest, scope: Scope, draft_id: int, rule_id: str
) -> HttpResponse:
    base = shell(request, scope, current="policy")
    try:
        actions.take_back(_draft(scope, draft_id), rule_id, actor=member(request))
    except PolicyRefused as error:
        say(request, f"{rule_id} stays in the draft", str(error), bad=True)
    else:
        say(request, f"{rule_id} is out of the draft", "It stays as it is in force.")
    return _back(base)


@edit
def roll_back(request: HttpRequest, scope: Scope, number: int) -> HttpResponse:
    base = shell(request, scope, current="policy")
    reason = request.POST.get("reason", "")
    try:
        actions.roll_back(
            base["project"],
            base["environment"],
            number,
            actor=member(request),
            reason=reason,
        )
    except PolicyRefused as error:
        say(request, "Not rolled back", str(error), bad=True)
    else:
        say_published(request, f"Rolled back to v{number}", seen=base)
    return _back(base)


def _draft(scope: Scope, draft_id: int) -> Draft:
    draft = Draft.objects.filter(pk=draft_id, project_id=scope.project_id).first()
    if draft is None:
        raise Http404
    return draft


def _back(base: Context) -> HttpResponse:
    return redirect(f"{reverse('policy')}?{base['here']}")
