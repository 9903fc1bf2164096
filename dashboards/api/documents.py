"""The OpenAPI document, and pages that show it without anything from elsewhere.

Both are open to everyone: they say what the product can do, not what it knows.
"""

from __future__ import annotations

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from dashboards.api.access import KeyAuthentication, MemberAuthentication

DESCRIPTION = """\
What services called, how it went, what it took and what it cost.

Every request needs an API key with scope `read` (`Authorization: Bearer <key>`,
`x-api-key`, or the password of HTTP Basic), or a session of a logged-in member.
Errors are `application/problem+json` (RFC 9457) with a stable `code`.
Lists are `{items, next}`; a page may be short, even empty, while `next` is not null.
"""
ABOUT = {
    "TITLE": "Switchgear",
    "VERSION": "1",
    "DESCRIPTION": DESCRIPTION,
    "TAGS": [{"name": "Read", "description": "Figures, calls and what they belong to"}],
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
}


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = KeyAuthentication
    name = ["bearer", "api_key", "basic"]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, str]]:
        return [
            {"type": "http", "scheme": "bearer"},
            {"type": "apiKey", "in": "header", "name": "x-api-key"},
            {"type": "http", "scheme": "basic", "description": "The key as password."},
        ]

    def get_security_requirement(
        self, auto_schema: AutoSchema
    ) -> list[dict[str, list[str]]]:
        # Any one of them is enough; in one object they would all be needed.
        return [{name: []} for name in self.name]


class MemberScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = MemberAuthentication
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        cookie = settings.SESSION_COOKIE_NAME
        return {"type": "apiKey", "in": "cookie", "name": cookie}


class Schema(SpectacularAPIView):
    authentication_classes = []
    permission_classes = []
    custom_settings = ABOUT


class Pages(SpectacularSwaggerSplitView):
    authentication_classes = []
    permission_classes = []
    url_name = "api-schema"
    title = "Switchgear API"
