"""Pages."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from dashboards import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.home, name="home"),
    path("live/", views.live, name="live"),
    path("live/data/", views.live_data, name="live-data"),
    path("live/choices/", views.live_choices, name="live-choices"),
]
