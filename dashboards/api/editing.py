"""What endpoints that edit have in common: who may, of which revision, and why not.

Edits need the scope ``write``: of a key, or of a member whose role is operator or more
(then with a CSRF token, as every form of a session). A key that is bound to a tenant
may neither read nor edit policy: rules name other tenants.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import User
from drf_spectacular.utils import OpenApiParameter
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from controlplane.actions import DraftMoved, PolicyRefused, RuleChanged
from controlplane.models import ApiKey, Draft, Project
from controlplane.scope import Scope
from dashboards.api.endpoint import Endpoint
from dashboards.api.fields import storable
from dashboards.api.problems import Invalid, NotFound, Problem

REVISION = re.compile(r'(?:W/)?"(\d{1,9})"')
IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    pattern=f"^{REVISION.pattern}$",
    description="The `ETag` of the rule that was read: refused if it changed since.",
)


class MayEdit(BasePermission):
    def has_permission(self, request: Request, view: APIView) -> bool:
        scope = request.auth
        if not isinstance(scope, Scope):
            return False
        needed = "read" if request.method in SAFE_METHODS else "write"
        if not scope.may(needed):
            who = "Your role" if scope.user_id else "This API key"
            raise Problem(403, "scope_missing", f"{who} has no scope '{needed}'.")
        if scope.tenant is not None:
            detail = "Rules name all tenants; this API key is bound to one."
            raise Problem(403, "tenant_not_allowed", detail)
        return True


class Editing(Endpoint):
    """An endpoint about policy."""

    permission_classes = [MayEdit]

    @property
    def project(self) -> Project:
        return Project.objects.get(pk=self.scope.project_id)

    @property
    def author(self) -> dict[str, Any]:
        """Who edits, as actions take it."""
        if isinstance(self.request.user, User):
            return {"actor": self.request.user}
        key = ApiKey.objects.get(pk=self.scope.key_id or 0)
        return {"actor": None, "actor_name": f"key {key.name or key.prefix}"}

    def draft(self, number: int | None) -> Draft | None:
        if number is None:
            return None
        found = Draft.objects.filter(pk=number, project_id=self.scope.project_id)
        draft = found.first()
        if draft is None:
            raise NotFound("draft")
        return draft


def expected_revision(request: Request) -> int | None:
    """The revision in ``If-Match``; None when the editor does not care."""
    given = request.headers.get("If-Match")
    if given is None or given.strip() == "*":
        return None
    found = REVISION.fullmatch(given.strip())
    if found is None:
        message = 'Give the ETag of the rule, such as "3".'
        raise Invalid(("invalid_parameter", message, "/If-Match"))
    return int(found[1])


@contextmanager
def refusals(request: Request) -> Iterator[None]:
    """What an action refused, as a problem with a pointer."""
    try:
        yield
    except RuleChanged as error:
        asked = "If-Match" in request.headers
        raise Conflict(412 if asked else 409, "rule_changed", error) from error
    except DraftMoved as error:
        raise Conflict(409, "draft_moved", error) from error
    except PolicyRefused as error:
        finding = ("policy_refused", error.message, error.pointer)
        # Its words are said of a field: who reads this line alone must know which.
        raise Invalid(finding, detail=str(error)) from error


class Conflict(Problem):
    """Somebody was first."""

    def __init__(self, status: int, code: str, error: PolicyRefused) -> None:
        super().__init__(status, code, error.message)
        if error.pointer:
            self.findings = ((code, error.message, error.pointer),)


def body_of(request: Request, fields: Mapping[str, type[int | str]]) -> dict[str, Any]:
    """A body of few, known fields; each may be left out."""
    body = document_of(request) if request.body else {}
    for name, value in body.items():
        if name not in fields:
            known = ", ".join(sorted(fields))
            message = f"There is no field {name!r}; there are: {known}."
            raise Invalid(("unknown_field", message, f"/{name}"))
        wanted = fields[name]
        if type(value) is not wanted or not storable(value):
            words = {str: "a text", int: "a whole number"}[wanted]
            raise Invalid(("policy_refused", f"must be {words}", f"/{name}"))
    return body


def document_of(request: Request) -> dict[str, Any]:
    if not isinstance(request.data, dict):
        raise Invalid(("malformed", "The body must be a JSON object.", ""))
    return dict(request.data)
