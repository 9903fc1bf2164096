"""What every page shows around its content: projects, environments, the rollout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from controlplane.models import Environment, Instance, Project
from controlplane.scope import Scope, scoped
from dashboards import rollout
from dashboards.address import BadAddress
from dashboards.rollout import DEFAULT, Rollout

P = ParamSpec("P")
Page = Callable[Concatenate[HttpRequest, Scope, P], HttpResponse]
Context = dict[str, Any]


def page(view: Page[P]) -> Callable[Concatenate[HttpRequest, P], Any]:
    """A page of a project for its members; a key reads the API, not pages."""

    @never_cache
    @scoped
    @wraps(view)
    def shown(
        request: HttpRequest, scope: Scope, /, *args: P.args, **kwargs: P.kwargs
    ) -> HttpResponse:
        if scope.user_id is None:
            raise Http404
        try:
            return view(request, scope, *args, **kwargs)
        except BadAddress as error:
            return render(request, "bad_address.html", {"why": str(error)}, status=400)

    return shown


def edit(view: Page[P]) -> Callable[Concatenate[HttpRequest, P], Any]:
    """What a button does: for members whose role may write."""

    @require_POST
    @page
    @wraps(view)
    def done(
        request: HttpRequest, scope: Scope, /, *args: P.args, **kwargs: P.kwargs
    ) -> HttpResponse:
        if not scope.may("write"):
            raise PermissionDenied
        return view(request, scope, *args, **kwargs)

    return done


def member(request: HttpRequest) -> User:
    """Who clicked; pages and buttons are for users only."""
    assert isinstance(request.user, User)  # noqa: S101  ``page`` let nobody else in
    return request.user


def shell(request: HttpRequest, scope: Scope, *, current: str) -> Context:
    """``current`` names the entry of the navigation this page belongs to."""
    projects = Project.objects.visible_to(request.user).order_by("name", "pk")
    rows = Environment.objects.filter(project_id=scope.project_id).order_by("name")
    names = list(rows.values_list("name", flat=True))
    asked = rollout.parse(dict(request.GET.lists()))
    if not request.GET.get("env"):
        asked = Rollout(usual(scope.project_id, names))
    return {
        "current": current,
        "scope": scope,
        "may_edit": scope.may("write"),
        "projects": projects,
        "project": next(p for p in projects if p.pk == scope.project_id),
        "environment": asked.environment,
        "environments": sorted({*names, asked.environment}),
        "here": here(scope, asked.environment),
        "rollout": rollout.state(scope.project_id, asked, now=timezone.now()),
    }


def usual(project_id: int, names: Sequence[str]) -> str:
    """The environment of a page that names none: where the instances are."""
    if DEFAULT in names or not names:
        return DEFAULT
    rows = Instance.objects.filter(project_id=project_id).values("environment")
    busiest = rows.annotate(number=Count("pk")).order_by("-number", "environment")
    found = busiest.values_list("environment", flat=True).first()
    return found if found and found in names else names[0]


def here(scope: Scope, environment: str) -> str:
    """What the address of every page says: which project, and which environment."""
    chosen = {"env": environment} if environment != DEFAULT else {}
    return urlencode(chosen | {"project": scope.slug})
