"""Policy versions: all of them, one, two beside each other, and what one decides."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from controlplane.compiling import compare, snapshot_of
from controlplane.models import PolicyVersion
from controlplane.scope import Scope
from dashboards.address import BadAddress
from dashboards.policy import desk, words
from dashboards.shell import page, shell

PAGE = 50
LONGEST_NUMBER = 18  # digits an int64 surely holds


@require_GET
@page
def history(request: HttpRequest, scope: Scope) -> HttpResponse:
    context = shell(request, scope, current="policy")
    before = number_in(request, "before")
    found = desk.versions(
        scope.project_id, context["environment"], limit=PAGE + 1, before=before
    )
    context |= {
        "versions": found[:PAGE],
        "older": found[PAGE - 1].number if len(found) > PAGE else None,
        "newest": before is None,
        "draft": None,
    }
    return render(request, "policy/history.html", context)


@require_GET
@page
def version(request: HttpRequest, scope: Scope, number: int) -> HttpResponse:
    """One version: what it changed, and every rule in it."""
    context = shell(request, scope, current="policy")
    shown = stored(scope.project_id, context["environment"], number)
    against = number_in(request, "against") or number - 1
    context |= compared(scope.project_id, context["environment"], against, shown)
    rules = snapshot_of(shown).rules
    latest = desk.versions(scope.project_id, context["environment"], limit=1)
    context |= {
        "version": desk.version_of(shown),
        "latest": latest[0].number,
        "digest": shown.digest,
        "rules": [words.listed(rule) for rule in rules],
        "document": shown.document,
        "draft": None,
    }
    return render(request, "policy/version.html", context)


def stored(project_id: int, environment: str, number: int) -> PolicyVersion:
    rows = PolicyVersion.objects.of_environment(project_id, environment)
    found = rows.filter(number=number).first()
    if found is None:
        raise Http404
    return found


def compared(
    project_id: int, environment: str, against: int, shown: PolicyVersion
) -> dict[str, Any]:
    """What is different in ``shown``; the first version differs from nothing at all."""
    before = stored(project_id, environment, against) if against else None
    changes = [words.marked(one) for one in compare(before, shown)]
    quiet = {"who": "", "at": None, "reason": ""}
    return {"against": against, "sentences": [one | quiet for one in changes]}


def number_in(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    if not text:
        return None
    if not text.isdecimal() or len(text) > LONGEST_NUMBER:
        message = f"{name} is the number of a version"
        raise BadAddress(message)
    return int(text)
