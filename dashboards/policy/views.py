"""The policy page: rules, one of them in a form, the draft, and the rollout.

What is saved here goes through ``controlplane.actions``, like everything else that is;
a page only puts what was typed into a document and shows where it was refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_http_methods

from controlplane import actions, rulebook
from controlplane.actions import PolicyRefused, RuleChanged
from controlplane.models import Project, RuleChange
from controlplane.rulebook import RuleView
from controlplane.scope import Scope
from dashboards import rollout
from dashboards.policy import desk, forms, kinds, words
from dashboards.policy.desk import Desk
from dashboards.policy.saying import say, say_published
from dashboards.rollout import Rollout
from dashboards.shell import Context, edit, member, page, shell
from dashboards.wording import plural
from switchgear.policy.review.changes import sentences
from switchgear.policy.rules.selectors import FACTS

REVISION = re.compile(r"[0-9]{1,9}")
DRAFT_IS_GONE = (
    "The draft you were editing in was published or discarded meanwhile. "
    "Once more, and it is in force at once."
)
NO_CONDITION = words.Condition("target", "", "")


@require_GET
@ensure_csrf_cookie
@page
def policy(request: HttpRequest, scope: Scope) -> HttpResponse:
    return render(request, "policy/policy.html", _context(request, scope))


@require_GET
@page
def new(request: HttpRequest, scope: Scope) -> HttpResponse:
    if not scope.may("write"):
        raise PermissionDenied
    context = _context(request, scope) | {"choosing": True}
    return render(request, "policy/policy.html", context)


@require_http_methods(["GET", "POST"])
@page
def new_of_kind(request: HttpRequest, scope: Scope, kind: str) -> HttpResponse:
    if not scope.may("write"):
        raise PermissionDenied
    if kind not in kinds.KINDS:
        raise Http404
    return _edited(request, Editor(_context(request, scope), kind, None))


@require_http_methods(["GET", "POST"])
@ensure_csrf_cookie
@page
def rule(request: HttpRequest, scope: Scope, rule_id: str) -> HttpResponse:
    if request.method == "POST" and not scope.may("write"):
        raise PermissionDenied
    context = _context(request, scope)
    view = context["desk"].views.get(rule_id)
    if view is None:
        raise Http404
    return _edited(request, Editor(context, view.kind, view))


@edit
def delete(request: HttpRequest, scope: Scope, rule_id: str) -> HttpResponse:
    base = shell(request, scope, current="policy")
    seen = _desk(base)
    back = redirect(f"{reverse('policy')}?{base['here']}")
    if _draft_is_gone(request, seen):
        say(request, f"{rule_id} is not deleted", DRAFT_IS_GONE, bad=True)
        return back
    try:
        actions.delete_rule(
            seen.project,
            rule_id,
            actor=member(request),
            reason=request.POST.get("reason", ""),
            rev=_seen(request),
            draft=seen.draft,
        )
    except PolicyRefused as error:
        say(request, f"{rule_id} is not deleted", error.message, bad=True)
        return back
    if seen.draft is not None:
        say(request, f"{rule_id} goes when the draft is published")
    else:
        say_published(request, f"{rule_id} is deleted", seen=base)
    return back


@require_GET
@page
def rollout_part(request: HttpRequest, scope: Scope) -> HttpResponse:
    """The details of the rollout, fetched again whenever the socket says so."""
    context = shell(request, scope, current="policy")
    latest = desk.versions(scope.project_id, context["environment"], limit=1)
    context |= _details(scope, context["environment"])
    context["version"] = latest[0] if latest else None
    return render(request, "policy/_rollout.html", context)


@require_GET
@page
def rollout_data(request: HttpRequest, scope: Scope) -> HttpResponse:
    """What the socket would send to somebody who holds nothing."""
    asked = rollout.parse(dict(request.GET.lists()))
    found = rollout.state(scope.project_id, asked, now=timezone.now())
    return JsonResponse({"type": "snapshot", "epoch": "", "seq": 0, "state": found})


def _desk(base: Context) -> Desk:
    return Desk.of(base["project"], here=base["here"])


def _details(scope: Scope, environment: str) -> Context:
    now = timezone.now()
    return {"detail": rollout.details(scope.project_id, Rollout(environment), now=now)}


def _context(request: HttpRequest, scope: Scope) -> Context:
    base = shell(request, scope, current="policy")
    seen = _desk(base)
    latest = desk.versions(scope.project_id, base["environment"], limit=desk.LATEST)
    return (
        base
        | _details(scope, base["environment"])
        | {
            "desk": seen,
            "groups": seen.groups(),
            "counts": seen.counts(),
            "draft": seen.drafted(),
            "warnings": seen.warnings(),
            "cleared": desk.CLEARED,
            "latest": latest,
            "version": latest[0] if latest else None,
            "kinds": [_kind(key) for key in kinds.KINDS],
            "chosen": "",
            "choosing": False,
            "rule": None,
            "form": None,
        }
    )


def _kind(key: str) -> Context:
    kind = kinds.KINDS[key]
    explained = kinds.explained(key)
    return {"key": key, "name": kind.name, "icon": kind.icon, "explained": explained}


class Editor(NamedTuple):
    """One form that was opened or sent back."""

    context: Context
    kind: str
    view: RuleView | None  # the rule; None for one that is to be made

    @property
    def desk(self) -> Desk:
        desk: Desk = self.context["desk"]
        return desk


def _edited(request: HttpRequest, editor: Editor) -> HttpResponse:
    """The form of a rule; sent back, either saved or shown again with what is wrong."""
    if request.method == "GET":
        document = editor.view.document() if editor.view else {}
        return _form(request, editor, document)
    document, errors = forms.typed(editor.kind, dict(request.POST.lists()))
    document["owner"] = request.POST.get("owner", "").strip()
    if editor.view is not None:
        document["id"] = editor.view.id
    if errors:
        return _form(request, editor, document, errors=errors, status=400)
    if _draft_is_gone(request, editor.desk):
        return _form(request, editor, document, errors={"": DRAFT_IS_GONE}, status=409)
    try:
        saved = _save(request, editor, document)
    except RuleChanged:
        found = conflict(editor.desk.project, editor.view, _seen(request))
        return _form(request, editor, document, conflict=found, status=409)
    except PolicyRefused as error:
        errors = {error.pointer: error.message}
        return _form(request, editor, document, errors=errors, status=400)
    return _told(request, editor, saved)


def _save(request: HttpRequest, editor: Editor, document: Context) -> RuleView:
    if editor.view is None:
        save = partial(actions.create_rule)
    else:
        save = partial(actions.save_rule, rev=_seen(request))
    return save(
        editor.desk.project,
        editor.kind,
        document,
        actor=member(request),
        reason=request.POST.get("reason", ""),
        draft=editor.desk.draft,
    )


def _told(request: HttpRequest, editor: Editor, saved: RuleView) -> HttpResponse:
    if editor.desk.draft is not None:
        more = "No service sees it before you publish."
        say(request, f"{saved.id} is in the draft", more)
    else:
        say_published(request, f"{saved.id} is saved", seen=editor.context)
    return redirect(editor.desk.url(saved.id))


def _form(
    request: HttpRequest,
    editor: Editor,
    document: Context,
    *,
    errors: Mapping[str, str] = {},
    conflict: Context | None = None,
    status: int = 200,
) -> HttpResponse:
    told = {
        "form": forms.form(editor.kind, document, errors),
        "errors": errors,
        "conflict": conflict,
        "owner": document.get("owner", ""),
        "reason": request.POST.get("reason", ""),
    }
    context = editor.context | _surroundings(editor) | told
    return render(request, "policy/policy.html", context, status=status)


def _surroundings(editor: Editor) -> Context:
    total = editor.context["rollout"]["total"]
    rule_id = editor.view.id if editor.view else ""
    new_url = reverse("policy-new-kind", args=[editor.kind])
    return {
        "action": editor.desk.url(rule_id)
        if rule_id
        else f"{new_url}?{editor.desk.here}",
        "kind": _kind(editor.kind),
        "rule": _ruled(editor.view, editor.desk) if editor.view else None,
        "chosen": rule_id,
        "warnings_here": editor.desk.warnings_of(rule_id),
        "facts": FACTS,
        "tests": forms.TESTS,
        "no_condition": NO_CONDITION,
        "effect": f"reaches {plural(total, 'instance')} at once" if total else "",
    }


def conflict(project: Project, view: RuleView | None, seen: int | None) -> Context:
    """Who was first, and what they changed since the revision that was seen."""
    if view is None or seen is None:
        return {"who": "Somebody", "said": ""}
    rows = RuleChange.objects.of_rule(project, view.id).filter(rev=seen)
    was = rows.values_list("after", flat=True).first()
    before = [rulebook.read_owned(was)[0]] if was else []
    changes = sentences(before, [view.rule])
    said = "; ".join(str(one) for one in changes)
    return {"who": view.updated_by, "said": f"{said}." if said else ""}


def _ruled(view: RuleView, seen: Desk) -> Context:
    return {
        "id": view.id,
        "rev": view.rev,
        "change": view.change.value,
        "changed_by": view.updated_by,
        "changed_at": view.updated_at,
        "url": seen.url(view.id),
        "delete_url": f"{reverse('policy-delete', args=[view.id])}?{seen.here}",
    }


def _seen(request: HttpRequest) -> int | None:
    """The revision the form was made of."""
    text = request.POST.get("rev", "")
    return int(text) if REVISION.fullmatch(text) else None


def _draft_is_gone(request: HttpRequest, seen: Desk) -> bool:
    """Whether what was meant for a draft would now be published."""
    return "draft" in request.POST and seen.draft is None
