"""Every HTTP route that Django answers; spans do not come this way (see ``asgi``)."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from controlplane.views import login_link

urlpatterns = [
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("login/<str:token>/", login_link, name="login_link"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
    path("api/v1/", include("dashboards.api.urls")),
    path("", include("dashboards.urls")),
]
