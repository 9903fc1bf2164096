"""Pages."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path, register_converter

from dashboards import instances, views
from dashboards.numbers import Number
from dashboards.policy import deciding, explaining, history
from dashboards.policy import views as policy

register_converter(Number, "number")

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.home, name="home"),
    path("live/", views.live, name="live"),
    path("live/data/", views.live_data, name="live-data"),
    path("live/choices/", views.live_choices, name="live-choices"),
    path("instances/", instances.instances, name="instances"),
    path("instances/rows/", instances.rows, name="instances-rows"),
    path("policy/", policy.policy, name="policy"),
    path("policy/new/", policy.new, name="policy-new"),
    path("policy/new/<slug:kind>/", policy.new_of_kind, name="policy-new-kind"),
    path("policy/rules/<str:rule_id>/", policy.rule, name="policy-rule"),
    path("policy/rules/<str:rule_id>/delete/", policy.delete, name="policy-delete"),
    path("policy/rollout/", policy.rollout_part, name="policy-rollout"),
    path("policy/rollout/data/", policy.rollout_data, name="rollout-data"),
    path("policy/explain/", explaining.explain_page, name="policy-explain"),
    path("policy/versions/", history.history, name="policy-history"),
    path("policy/versions/<number:number>/", history.version, name="policy-version"),
    path(
        "policy/versions/<number:number>/rollback/",
        deciding.roll_back,
        name="policy-rollback",
    ),
    path("policy/drafts/", deciding.open_draft, name="policy-draft-open"),
    path(
        "policy/drafts/<number:draft_id>/publish/",
        deciding.publish_draft,
        name="policy-draft-publish",
    ),
    path(
        "policy/drafts/<number:draft_id>/rebase/",
        deciding.rebase_draft,
        name="policy-draft-rebase",
    ),
    path(
        "policy/drafts/<number:draft_id>/discard/",
        deciding.discard_draft,
        name="policy-draft-discard",
    ),
    path(
        "policy/drafts/<number:draft_id>/rules/<str:rule_id>/take-back/",
        deciding.take_back,
        name="policy-take-back",
    ),
]
