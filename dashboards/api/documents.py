"""The OpenAPI document, and pages that show it without anything from elsewhere.

Both are open to everyone: they say what the product can do, not what it knows.
"""

from __future__ import annotations

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from dashboards.api.access import KeyAuthentication, MemberAuthentication


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


class Pages(SpectacularSwaggerSplitView):
    authentication_classes = []
    permission_classes = []
    url_name = "api-schema"
    title = "Switchgear API"
