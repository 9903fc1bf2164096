"""Pages, and what their scripts fetch when the socket is not there."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET

from controlplane.scope import Scope, scope_of_request, scope_of_user
from dashboards import figures, panels
from dashboards.address import FILTERS, PRESETS, TABS, BadAddress, View, parse
from dashboards.shell import page, shell
from dashboards.streams import TooManyViews, hub

CHOICES = (*FILTERS, "environment")
OUTCOMES = ("ok", "recovered", "fallback", "failed", "refused", "cancelled")
KPIS = (
    ("calls", "Calls"),
    ("success", "Final success"),
    ("latency", "Latency p95"),
    ("attempts", "Attempts per call"),
    ("failed_attempts", "Failed attempts"),
    ("spend", "Spend"),
)


@require_GET
@login_required
def home(request: HttpRequest) -> HttpResponse:
    scope = scope_of_user(request.user, slug=None)
    if scope is None:
        return render(request, "no_project.html", status=404)
    return redirect(f"{reverse('live')}?{urlencode({'project': scope.slug})}")


@require_GET
@ensure_csrf_cookie
@page
def live(request: HttpRequest, scope: Scope) -> HttpResponse:
    view = parse(dict(request.GET.lists()))
    context = shell(request, scope, current="live") | _live(request, view)
    return render(request, "live.html", context)


def _live(request: HttpRequest, view: View) -> dict[str, Any]:
    return {
        "view": view,
        "presets": PRESETS,
        "tabs": TABS,
        "kpis": KPIS,
        "outcomes": OUTCOMES,
        "template": figures.template(),
        "endpoint": request.build_absolute_uri("/").rstrip("/"),
    }


@never_cache
async def live_data(request: HttpRequest) -> HttpResponse:
    """What the socket would send next to a viewer who holds ``epoch`` and ``seq``."""
    scope = await sync_to_async(_reader)(request)
    try:
        view = parse(dict(request.GET.lists()))
        seq = int(request.GET.get("seq", "0"))
        stream = await hub().stream(scope.project_id, view)
    except (BadAddress, ValueError) as error:
        return JsonResponse({"type": "refused", "message": str(error)}, status=400)
    except TooManyViews:
        return JsonResponse({"type": "trouble"}, status=503)
    journal = stream.journal
    if stream.trouble or not journal.seq:
        return JsonResponse({"type": "trouble"}, status=503)
    text = journal.since(request.GET.get("epoch", ""), seq)
    if text is None:
        return HttpResponse(status=204)
    return HttpResponse(text, content_type="application/json")


@require_GET
@never_cache
def live_choices(request: HttpRequest) -> HttpResponse:
    """The values a filter may be set to."""
    scope = _reader(request)
    field = request.GET.get("field", "")
    if field not in CHOICES:
        raise Http404
    try:
        view = parse(dict(request.GET.lists()))
    except BadAddress as error:
        return JsonResponse({"type": "refused", "message": str(error)}, status=400)
    now = timezone.now().timestamp()
    return JsonResponse(panels.choices(scope.project_id, view, field, now=now))


def _reader(request: HttpRequest) -> Scope:
    scope = scope_of_request(request)
    if scope is None or not scope.may("read") or scope.tenant is not None:
        raise Http404
    return scope
