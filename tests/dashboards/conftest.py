"""A project with telemetry of two tenants, another project, and clients that read."""

from __future__ import annotations

import time

import pytest
from django.test import Client
from django.utils import timezone

from controlplane import actions, compiling
from controlplane.models import Project
from tests.dashboards import stored
from tests.dashboards.stored import agent, export, model, tool

ACME_TRACE = bytes.fromhex("0a" * 16)
GLOBEX_TRACE = bytes.fromhex("0b" * 16)
SECRET_TRACE = bytes.fromhex("0c" * 16)


RULES = (
    ("retry", {"id": "rt-search", "selector": {"target": "search.web"}}),
    (
        "fallback",
        {
            "id": "fb-search",
            "selector": {"target": "search.web", "tenant": {"not": ["globex"]}},
            "chain": [{"target": "tool:search.lite"}, {"target": "tool:search.old"}],
            "owner": "search team",
        },
    ),
)

# What stands in the braces of an address, unless a test says something else.
ANYTHING = {
    "<call_id:id>": f"{'00' * 16}-{'00' * 8}",
    "<trace_id:trace_id>": "00" * 16,
    "<kind:kind>": "retry",
    "<rule_id:id>": "no-such-rule",
    "<digits:number>": "1",
    "<digits:id>": "1",
}


def address_of(operation, parts=None):
    """A path that reaches the operation; ``parts`` say what stands in its braces."""
    route = str(operation.pattern)
    for part, word in (ANYTHING | (parts or {})).items():
        route = route.replace(part, word)
    return f"/api/v1/{route}"


def verb_of(operation):
    """How it is asked; what only acts has no GET."""
    return "get" if hasattr(operation.callback.cls, "get") else "post"


class Reader(Client):
    """A client that sends one API key."""

    def __init__(self, token, **defaults):
        super().__init__(HTTP_AUTHORIZATION=f"Bearer {token}", **defaults)
        self.token = token


def reader_of(project, *, scopes=("read",), tenant=None, **defaults):
    made = actions.create_key(project, scopes=scopes, tenant=tenant, actor=None)
    return Reader(made.token, **defaults)


@pytest.fixture
def start_ns():
    return time.time_ns() - 60 * stored.SECOND


@pytest.fixture
def telemetry(transactional_db, project, start_ns):
    """Two traces of ``project``: acme's with every outcome, globex's with one call."""
    acme = agent(
        tenant__id="acme",
        gen_ai__conversation__id="s-1",
        enduser__id="ann",
    )
    stored.store(
        project,
        export(
            ACME_TRACE,
            acme,
            model("gpt-4o-mini", 2, response="r-1", tokens=(1000, 100)),
            tool("search.web", 3, at_ms=500, took_ms=40),
            tool("pay", 4, at_ms=600, took_ms=900, message="Card DECLINED by bank"),
            start_ns=start_ns,
        ),
    )
    stored.store(
        project,
        export(
            GLOBEX_TRACE,
            agent(tenant__id="globex", gen_ai__conversation__id="s-2"),
            tool("search.web", 2, at_ms=100, took_ms=30),
            start_ns=start_ns + 5 * stored.SECOND,
            service="crawler",
            instance="crawler-1",
        ),
    )
    return project


@pytest.fixture
def other_project(db):
    return Project.objects.create(slug="other", name="Other", created_at=timezone.now())


@pytest.fixture
def secret(telemetry, other_project, start_ns):
    """Telemetry of the other project: every word of it says secret."""
    stored.store(
        other_project,
        export(
            SECRET_TRACE,
            agent(tenant__id="secret-tenant", gen_ai__conversation__id="secret-s"),
            tool("secret.tool", 2, message="secret failure"),
            start_ns=start_ns,
            service="secret-service",
            instance="secret-instance",
        ),
    )
    keep_secret_policy(other_project)
    return other_project


def keep_secret_policy(project):
    """A rule in force, and another one in a draft."""
    compiling.snapshot_for(project.pk, "default", "secret-service")
    rule = {"id": "secret-rule", "owner": "secret owner"}
    actions.save_rule(project, "retry", rule, actor=None, reason="secret reason")
    draft = actions.open_draft(project, title="secret draft", actor=None)
    drafted = {"id": "secret-draft-rule"}
    actions.save_rule(project, "timeout", drafted, actor=None, draft=draft)


@pytest.fixture
def reader(project):
    return reader_of(project)


@pytest.fixture
def editor(project):
    """A program that may edit rules."""
    return reader_of(project, scopes=["read", "write"])


@pytest.fixture
def policy(project):
    """Rules of ``project`` in force in one environment, and a draft."""
    compiling.snapshot_for(project.pk, "default", "shop")
    for kind, document in RULES:
        actions.save_rule(project, kind, document, actor=None, reason="set up")
    actions.open_draft(project, title="less waiting", actor=None)
    return project
