"""Every HTTP route that Django answers; spans do not come this way (see ``asgi``)."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v1/", include("dashboards.api.urls")),
    path("", include("dashboards.urls")),
]
