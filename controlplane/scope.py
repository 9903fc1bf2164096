"""The one door to a project's data: every view, socket and key comes through here.

A ``Scope`` says which project, and what may be done in it. Whoever is not let in gets
None, whether the project exists or not, so that nobody can learn which ones do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from urllib.parse import parse_qs

from django.contrib.auth.models import AnonymousUser, User
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponseBase

from controlplane import keys
from controlplane.models import Membership, Project, Role
from controlplane.readings import Access

ROLE_SCOPES = {
    Role.VIEWER: frozenset({"read"}),
    Role.OPERATOR: frozenset({"read", "write"}),
    Role.ADMIN: frozenset({"read", "write", "manage"}),
    Role.OWNER: frozenset({"read", "write", "manage"}),
}


@dataclass(frozen=True, slots=True)
class Scope:
    """One project, and what the bearer may do there.

    ``tenant`` is set for a key that is bound to one: it sees nothing of the others.
    """

    project_id: int
    slug: str
    scopes: frozenset[str]
    role: Role | None = None
    user_id: int | None = None
    key_id: int | None = None
    tenant: str | None = None

    def may(self, scope: str) -> bool:
        return scope in self.scopes


def scope_of_access(access: Access) -> Scope:
    return Scope(
        project_id=access.project_id,
        slug=access.project.slug,
        scopes=access.scopes,
        key_id=access.key_id,
        tenant=access.tenant,
    )


def scope_of_user(user: User | AnonymousUser, *, slug: str | None) -> Scope | None:
    """The user's scope in the project ``slug``, or in their first one for None."""
    if not user.is_authenticated or not user.is_active:
        return None
    if slug and "\0" in slug:  # PostgreSQL takes no NUL, and no slug has one
        return None
    projects = Project.objects.visible_to(user).order_by("pk")
    project = (projects.filter(slug=slug) if slug else projects).first()
    if project is None:
        return None
    role = role_in(project, user)
    return Scope(
        project_id=project.pk,
        slug=project.slug,
        scopes=ROLE_SCOPES[role],
        role=role,
        user_id=user.pk,
    )


def role_in(project: Project, user: User) -> Role:
    if user.is_superuser:
        return Role.OWNER
    return Role(Membership.objects.get(project=project, user=user).role)


def scope_of_request(request: HttpRequest, *, slug: str | None = None) -> Scope | None:
    """A key in the headers speaks for its project only; else the session's user.

    ``slug`` is what the path or ``?project=`` asks for.
    """
    slug = slug or request.GET.get("project")
    if keys.presented(request):
        access = keys.authenticate_request(request)
        if access is None or (slug and slug != access.project.slug):
            return None
        return scope_of_access(access)
    return scope_of_user(request.user, slug=slug)


def scope_of_socket(scope: Mapping[str, Any]) -> Scope | None:
    """The same for a WebSocket's ASGI scope; reads the database, so not in a loop."""
    path = scope.get("url_route", {}).get("kwargs", {})
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    slug = path.get("slug") or query.get("project", [""])[0]
    return scope_of_user(scope["user"], slug=slug or None)


P = ParamSpec("P")
Page = Callable[Concatenate[HttpRequest, P], HttpResponseBase]
ScopedPage = Callable[Concatenate[HttpRequest, Scope, P], HttpResponseBase]


def scoped(view: ScopedPage[P]) -> Page[P]:
    """Hand a page its scope; ask for a log-in, or say 404 when there is none.

    The project is the path's ``slug``, which the view gets in its scope.
    """

    @wraps(view)
    def page(
        request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs
    ) -> HttpResponseBase:
        slug = kwargs.pop("slug", None)
        scope = scope_of_request(request, slug=str(slug) if slug else None)
        if scope is not None and scope.may("read"):
            return view(request, scope, *args, **kwargs)
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        raise Http404

    return page
