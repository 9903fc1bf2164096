"""The policy page: rules, one of them in a form, the draft, and the rollout.

What is saved here goes through ``controlplane.actions``, like everything else that is;
a page only puts what was typed into a document and shows where it was refused.
"""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_http_methods

from controlplane import actions
from controlplane.actions import PolicyRefused, RuleChanged
from controlplane.rulebook import RuleView
from controlplane.scope import Scope
from dashboards.policy import desk, forms, kinds, rollout, words
from dashboards.policy.desk import Desk
from dashboards.policy.rollout import Rollout
from dashboards.policy.saying import say, say_published
from dashboards.shell import Context, edit, page, shell
from switchgear.policy.selectors import FACTS

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
    context = _context(request, scope)
    return _edited(request, context, kind, None)


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
    return _edited(request, context, view.kind, view)


@edit
def delete(request: HttpRequest, scope: Scope, rule_id: str) -> HttpResponse:
    base = shell(request, scope, current="policy")
    seen = _desk(base)
    back = redirect(f"{reverse('policy')}?{base['here']}")
    try:
        actions.delete_rule(
            seen.project,
            rule_id,
            actor=request.user,
            reason=request.POST.get("reason", ""),
            rev=_number(request.POST.get("rev")),
            draft=seen.draft,
        )
    except PolicyRefused as error:
        say(request, f"{rule_id} is not deleted", str(error.message), bad=True)
        return back
    if seen.draft is not None:
        say(request, f"{rule_id} goes when the draft is published")
    else:
        _published(request, base, f"{rule_id} is deleted")
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
    return Desk.of(base["project"], environment=base["environment"], here=base["here"])


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


def _edited(
    request: HttpRequest, context: Context, kind: str, view: RuleView | None
) -> HttpResponse:
    """The form of a rule; sent back, either saved or shown again with what is wrong."""
    if request.method == "POST":
        return _saved(request, context, kind, view)
    document = view.document() if view else {}
    context |= _editor(context, kind, view, document, {})
    return render(request, "policy/policy.html", context)


def _saved(
    request: HttpRequest, context: Context, kind: str, view: RuleView | None
) -> HttpResponse:
    document, errors = forms.typed(kind, dict(request.POST.lists()))
    document["owner"] = request.POST.get("owner", "").strip()
    if view is not None:
        document["id"] = view.id
    reason = request.POST.get("reason", "")
    conflict = None
    if not errors:
        try:
            return _save(request, context, kind, view, document, reason)
        except RuleChanged:
            conflict = _conflict(view)
        except PolicyRefused as error:
            errors = {error.pointer: error.message}
    context |= _editor(context, kind, view, document, errors)
    context |= {"conflict": conflict, "reason": reason}
    return render(
        request, "policy/policy.html", context, status=409 if conflict else 400
    )


def _save(
    request: HttpRequest,
    context: Context,
    kind: str,
    view: RuleView | None,
    document: Context,
    reason: str,
) -> HttpResponse:
    draft = context["desk"].draft
    told = {"actor": request.user, "reason": reason, "draft": draft}
    project = context["project"]
    if view is None:
        saved = actions.create_rule(project, kind, document, **told)
    else:
        rev = _number(request.POST.get("rev"))
        saved = actions.save_rule(project, kind, document, rev=rev, **told)
    if draft is not None:
        say(
            request,
            f"{saved.id} is in the draft",
            "No service sees it before you publish.",
        )
    else:
        _published(request, context, f"{saved.id} is saved")
    return redirect(context["desk"].url(saved.id))


def _editor(
    context: Context,
    kind: str,
    view: RuleView | None,
    document: Context,
    errors: dict[str, str],
) -> Context:
    total = context["rollout"]["total"]
    seen: Desk = context["desk"]
    rule_id = view.id if view else ""
    action = seen.url(rule_id) if view else _new_url(kind, seen.here)
    return {
        "action": action,
        "kind": _kind(kind),
        "form": forms.form(kind, document, errors),
        "errors": errors,
        "owner": document.get("owner", ""),
        "reason": "",
        "conflict": None,
        "rule": _ruled(view, seen) if view else None,
        "chosen": rule_id,
        "warnings_here": seen.warnings_of(rule_id),
        "facts": FACTS,
        "tests": forms.TESTS,
        "no_condition": NO_CONDITION,
        "effect": f"reaches {total} instances at once" if total else "",
    }


def _new_url(kind: str, here: str) -> str:
    return f"{reverse('policy-new-kind', args=[kind])}?{here}"


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


def _published(request: HttpRequest, context: Context, text: str) -> None:
    say_published(
        request,
        text,
        project_id=context["scope"].project_id,
        environment=context["environment"],
        reached=context["rollout"]["total"],
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 10 else None
