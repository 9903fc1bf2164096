from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from controlplane import rulebook
from controlplane.models import (
    RULE_MODELS,
    Environment,
    KillSwitchRule,
    PolicyVersion,
    RateLimitRule,
    RetryRule,
    Rule,
)
from switchgear.policy.documents.reading import read_rule
from switchgear.policy.rules import KINDS, parameters
from tests.controlplane.policies import OF_EACH_KIND, retry

COMMON = {field.name for field in Rule._meta.get_fields()}


def row(project, document, **columns):
    """A row as the actions would write it, but for what a test says."""
    rule = read_rule(document, strict=True)
    made = RULE_MODELS[rule.KIND](
        project=project, created_at=timezone.now(), updated_at=timezone.now()
    )
    rulebook.write(made, rule)
    for name, value in columns.items():
        setattr(made, name, value)
    return made


def test_every_kind_of_the_kernel_has_a_table():
    assert list(RULE_MODELS) == list(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_has_the_columns_of_the_kernels_parameters(kind):
    own = {field.name for field in RULE_MODELS[kind]._meta.get_fields()} - COMMON

    assert own - {"id"} == {parameter.name for parameter in parameters(kind)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_may_be_empty_where_the_parameter_may_be_absent(kind):
    for parameter in parameters(kind):
        column = RULE_MODELS[kind]._meta.get_field(parameter.name)
        absent = not parameter.required and parameter.default is None

        assert column.null is absent, parameter.name


@pytest.mark.parametrize("document", OF_EACH_KIND, ids=lambda each: each["kind"])
def test_a_rule_comes_back_from_its_row_as_it_was(project, document):
    rule = read_rule(document, strict=True)
    made = row(project, document)
    made.save()

    made.refresh_from_db()
    assert rulebook.rule_of(made) == rule


@pytest.mark.parametrize(
    ("document", "columns", "constraint"),
    [
        (retry(), {"mode": "loud"}, "retryrule_mode_known"),
        (retry(), {"tier": "first"}, "retryrule_tier_known"),
        (retry(), {"priority": 1_000_001}, "retryrule_priority_in_range"),
        (retry(), {"rev": 0}, "retryrule_rev_counts_from_1"),
        (retry(), {"slug": ""}, "retryrule_has_an_id"),
        (retry(), {"max_attempts": 11}, "retry_max_attempts_1_to_10"),
        (
            {"id": "x", "kind": "timeout"},
            {"timeout_ms": 0},
            "timeout_timeout_ms_is_positive",
        ),
        (
            {"id": "x", "kind": "circuit_breaker"},
            {"max_wait_duration_in_half_open_ms": 0},
            "breaker_max_wait_duration_in_half_open_ms_is_positive",
        ),
        (
            {"id": "x", "kind": "rate_limit", "limit": 1},
            {"limit": 0},
            "rate_limit_limit_is_positive",
        ),
        (
            {"id": "x", "kind": "concurrency"},
            {"max_concurrent_calls": 0},
            "concurrency_max_concurrent_calls_is_positive",
        ),
        (
            {"id": "x", "kind": "quota", "unit": "usd", "limit": "1"},
            {"limit": "-1"},
            "quota_limit_is_not_negative",
        ),
        (OF_EACH_KIND[-1], {"expires_at": None}, "kill_switch_expires"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_database_refuses_what_no_rule_may_be(
    project, document, columns, constraint
):
    made = row(project, document, **columns)

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        made.save()


def test_an_id_is_there_once_in_a_project(project):
    row(project, retry()).save()

    with pytest.raises(IntegrityError), transaction.atomic():
        row(project, retry()).save()


def test_a_bound_that_does_not_exist_is_no_bound_of_nothing(project):
    made = row(project, {"id": "rl", "kind": "rate_limit", "limit": 5})
    made.save()

    assert RateLimitRule.objects.get().burst is None


def test_a_version_number_is_there_once_in_an_environment(project):
    prod = Environment.objects.create(
        project=project, name="prod", created_at=timezone.now()
    )
    columns = {
        "environment": prod,
        "number": 1,
        "document": "{}",
        "digest": f"sha256:{'0' * 64}",
        "rule_count": 0,
        "created_at": timezone.now(),
    }
    PolicyVersion.objects.create(**columns)

    with pytest.raises(IntegrityError), transaction.atomic():
        PolicyVersion.objects.create(**columns)


def test_a_version_rolls_back_to_an_earlier_one_only(project):
    prod = Environment.objects.create(
        project=project, name="prod", created_at=timezone.now()
    )

    with pytest.raises(IntegrityError, match="rolls_back"), transaction.atomic():
        PolicyVersion.objects.create(
            environment=prod,
            number=2,
            rollback_of=2,
            document="{}",
            digest=f"sha256:{'0' * 64}",
            rule_count=0,
            created_at=timezone.now(),
        )


def test_a_time_keeps_its_microseconds(project):
    ends = timezone.now() + timedelta(hours=1, microseconds=123)
    made = row(project, OF_EACH_KIND[-1], expires_at=ends)
    made.save()

    made = KillSwitchRule.objects.get()
    rulebook.write(made, rulebook.rule_of(made))

    assert made.expires_at == ends
    assert RetryRule.objects.count() == 0
