"""Who may read: an API key with scope ``read``, or a logged-in member of the project.

Both pass the one scoping door; ``request.auth`` is then the ``Scope``, and a view that
takes its project from anywhere else is wrong.
"""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from controlplane import keys
from controlplane.scope import Scope, scope_of_request, scope_of_user
from dashboards.api.problems import Problem

CHALLENGE = 'Bearer realm="switchgear"'


class KeyAuthentication(BaseAuthentication):
    """Bearer, ``x-api-key`` or the password of Basic."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Scope] | None:
        if not keys.presented(request):
            return None
        scope = scope_of_request(request)
        if scope is None:
            raise Problem(
                401,
                "invalid_key",
                "This API key is unknown, revoked, expired or of another project.",
                headers={"WWW-Authenticate": CHALLENGE},
            )
        return AnonymousUser(), scope

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


class MemberAuthentication(SessionAuthentication):
    """A browser session; ``?project=`` picks one of the user's projects."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Scope] | None:
        found = super().authenticate(request)
        if found is None:
            return None
        user, _ = found
        slug = request.query_params.get("project")
        scope = scope_of_user(user, slug=slug or None)
        if scope is None:
            raise Problem(403, "no_such_project", "You are in no such project.")
        return user, scope


class MayRead(BasePermission):
    def has_permission(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.auth, Scope):
            return False
        if not request.auth.may("read"):
            raise Problem(403, "scope_missing", "This API key has no scope 'read'.")
        return True
