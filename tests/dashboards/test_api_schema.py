"""The OpenAPI document is committed, and what is answered is what it says.

After a change of the API: ``manage.py spectacular --file docs/openapi.yaml``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import schemathesis
import yaml
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, given
from hypothesis import settings as given_settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from dashboards.api.urls import operations

COMMITTED = Path(settings.BASE_DIR) / "docs" / "openapi.yaml"
EXAMPLES = int(os.environ.get("SWITCHGEAR_API_EXAMPLES", "5"))
KEPT = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]


def document():
    return yaml.safe_load(COMMITTED.read_text(encoding="utf-8"))


def test_the_committed_document_is_what_is_served(client):
    served = client.get("/api/v1/schema/")

    assert yaml.safe_load(served.content) == document()


def test_every_operation_is_described():
    described = document()["paths"]

    assert len(described) == len(operations)
    for methods in described.values():
        for operation in methods.values():
            assert operation["summary"]
            assert operation["security"]
            answers = set(operation["responses"])
            assert {"400", "401", "403"} <= answers
            assert answers & {"200", "201", "204"}


def operations_of(schema):
    return [
        schema[path][method]
        for path, methods in document()["paths"].items()
        for method in methods
    ]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_any_request_gets_an_answer_as_described(telemetry, policy, editor, mode):
    schema = schemathesis.openapi.from_wsgi("/api/v1/schema/", get_wsgi_application())

    for operation in operations_of(schema):

        @given(case=operation.as_strategy(generation_mode=mode))
        @given_settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def holds(case):
            answer = case.call(headers={"Authorization": f"Bearer {editor.token}"})
            case.validate_response(answer, checks=KEPT)

        holds()


def test_the_pages_need_nothing_from_elsewhere(client):
    page = client.get("/api/v1/docs/")
    script = client.get("/api/v1/docs/?script=")

    html = page.content.decode()
    assert page.status_code == 200
    assert "https://" not in html
    assert "http://" not in html
    # No inline script: the policy of the page would not run it.
    assert re.findall(r"<script(?![^>]*\bsrc=)", html) == []
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert b"SwaggerUIBundle" in script.content
    for found in re.findall(r'(?:src|href)="/static/([^"]+)"', html):
        assert finders.find(found), found
