"""What operators decide: one table per kind of rule, on one set of common columns.

A row holds what the kernel's document of a rule holds, each parameter in a column of
its own name. Rows are written by ``controlplane.actions`` only, which asks the kernel
first and locks the project, so that an id names one rule over all kinds. The
constraints here keep out what a mistake elsewhere must not get past.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from controlplane.models.projects import Project
from switchgear.policy.rules import Mode, Tier

MODES = [mode.value for mode in Mode]
TIERS = [tier.value for tier in Tier]
MOST_PRIORITY = 1_000_000


def between(
    rule: str, column: str, least: float, most: float
) -> models.CheckConstraint:
    return models.CheckConstraint(
        condition=Q(**{f"{column}__range": (least, most)}),
        name=f"{rule}_{column}_{least}_to_{most}",
    )


def positive(rule: str, column: str) -> models.CheckConstraint:
    """More than nothing; a bound that is NULL does not exist."""
    return models.CheckConstraint(
        condition=Q(**{f"{column}__gt": 0}), name=f"{rule}_{column}_is_positive"
    )


def not_negative(rule: str, column: str) -> models.CheckConstraint:
    """A decimal, kept as text because no float holds money."""
    said = ~Q(**{column: ""}) & ~Q(**{f"{column}__startswith": "-"})
    return models.CheckConstraint(
        condition=said, name=f"{rule}_{column}_is_not_negative"
    )


def one_of(rule: str, column: str, words: list[str]) -> models.CheckConstraint:
    return models.CheckConstraint(
        condition=Q(**{f"{column}__in": words}), name=f"{rule}_{column}_known"
    )


class Rule(models.Model):
    KIND: ClassVar[str]

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    slug = models.CharField("id", max_length=100)
    rev = models.PositiveIntegerField(default=1)
    mode = models.CharField(max_length=8, default=Mode.ENFORCE.value)
    tier = models.CharField(max_length=8, default=Tier.NORMAL.value)
    priority = models.IntegerField(default=0)
    selector = models.JSONField(default=dict, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    owner = models.CharField(max_length=100, blank=True)
    reason = models.CharField(max_length=500, blank=True)  # of the last edit
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150)  # as in the history: it survives
    updated_at = models.DateTimeField()
    updated_by = models.CharField(max_length=150)

    class Meta:
        abstract = True
        constraints = [
            models.UniqueConstraint(
                fields=["project", "slug"], name="%(class)s_once_per_project"
            ),
            models.CheckConstraint(condition=~Q(slug=""), name="%(class)s_has_an_id"),
            models.CheckConstraint(
                condition=Q(rev__gte=1), name="%(class)s_rev_counts_from_1"
            ),
            models.CheckConstraint(
                condition=Q(priority__range=(-MOST_PRIORITY, MOST_PRIORITY)),
                name="%(class)s_priority_in_range",
            ),
            one_of("%(class)s", "mode", MODES),
            one_of("%(class)s", "tier", TIERS),
        ]

    def __str__(self) -> str:
        return self.slug


class RetryRule(Rule):
    KIND = "retry"

    max_attempts = models.PositiveSmallIntegerField()
    wait_duration_ms = models.PositiveIntegerField()
    exponential_backoff_multiplier = models.FloatField()
    max_wait_ms = models.PositiveIntegerField()
    jitter = models.CharField(max_length=10)
    retry_on = models.JSONField()
    respect_retry_after = models.BooleanField()
    retry_budget_percent = models.PositiveSmallIntegerField()
    idempotent_only = models.BooleanField()
    total_deadline_ms = models.PositiveIntegerField(null=True)

    class Meta(Rule.Meta):
        constraints = [
            *Rule.Meta.constraints,
            between("retry", "max_attempts", 1, 10),
            between("retry", "exponential_backoff_multiplier", 1, 10),
            between("retry", "retry_budget_percent", 1, 1000),
            positive("retry", "total_deadline_ms"),
            one_of("retry", "jitter", ["full", "none"]),
        ]


class TimeoutRule(Rule):
    KIND = "timeout"

    timeout_ms = models.PositiveIntegerField()
    first_byte_ms = models.PositiveIntegerField(null=True)
    idle_stream_ms = models.PositiveIntegerField(null=True)

    class Meta(Rule.Meta):
        constraints = [
            *Rule.Meta.constraints,
            positive("timeout", "timeout_ms"),
            positive("timeout", "first_byte_ms"),
            positive("timeout", "idle_stream_ms"),
        ]


class CircuitBreakerRule(Rule):
    KIND = "circuit_breaker"

    failure_rate_threshold = models.PositiveSmallIntegerField()
    slow_call_rate_threshold = models.PositiveSmallIntegerField()
    slow_call_duration_threshold_ms = models.PositiveIntegerField()
    sliding_window_type = models.CharField(max_length=10)
    sliding_window_size = models.PositiveIntegerField()
    minimum_number_of_calls = models.PositiveIntegerField()
    wait_duration_in_open_state_ms = models.PositiveIntegerField()
    wait_backoff_multiplier = models.FloatField()
    max_wait_duration_in_open_state_ms = models.PositiveIntegerField()
    wait_jitter_percent = models.PositiveSmallIntegerField()
    permitted_calls_in_half_open = models.PositiveSmallIntegerField()
    max_wait_duration_in_half_open_ms = models.PositiveIntegerField()
    record_failures = models.JSONField()
    scope = models.JSONField()
    operator_state = models.CharField(max_length=20)

    class Meta(Rule.Meta):
        constraints = [
            *Rule.Meta.constraints,
            between("breaker", "failure_rate_threshold", 1, 100),
            between("breaker", "slow_call_rate_threshold", 1, 100),
            between("breaker", "minimum_number_of_calls", 5, 1_000_000),
            between("breaker", "wait_jitter_percent", 0, 100),
            positive("breaker", "slow_call_duration_threshold_ms"),
            positive("breaker", "sliding_window_size"),
            positive("breaker", "wait_duration_in_open_state_ms"),
            positive("breaker", "permitted_calls_in_half_open"),
            # A probe that may take for ever holds the breaker half open for ever.
            positive("breaker", "max_wait_duration_in_half_open_ms"),
            one_of("breaker", "sliding_window_type", ["time", "count"]),
            one_of(
                "breaker",
                "operator_state",
                ["automatic", "forced_open", "disabled", "metrics_only"],
            ),
        ]


class FallbackRule(Rule):
    KIND = "fallback"

    chain = models.JSONField()
    on = models.JSONField()
    max_hops = models.PositiveSmallIntegerField()
    inherit_deadline = models.BooleanField()

    class Meta(Rule.Meta):
        constraints = [
            *Rule.Meta.constraints,
            between("fallback", "max_hops", 1, 10),
        ]


class RateLimitRule(Rule):
    KIND = "rate_limit"

    limit = models.PositiveIntegerField()
    period_s = models.PositiveIntegerField()
    burst = models.PositiveIntegerField(null=True)
    unit = models.CharField(max_length=20)
    per = models.JSONField()

    class Meta(Rule.Meta):
        constraints = [
            *Rule.Meta.constraints,
            positive("rate_limit", "limit"),
            positive("rate_limit", "period_s"),
            positive("rate_limit", "burst"),
        ]


class ConcurrencyRule(Rule):
    KIND = "concurrency"

    max_concurrent_calls = models.PositiveIntegerField()
    slot_ttl_s = models.PositiveIntegerField(null=True)
    per = models.JSONField()

    class Meta(Rule.Meta):
        constraints = [
            *Rule.Meta.constraints,
            positive("concurrency", "max_concurrent_calls"),
            positive("concurrency", "slot_ttl_s"),
        ]


class QuotaRule(Rule):
    KIND = "quota"

    unit = models.CharField(max_length=20)
    limit = models.CharField(max_length=40)
    window = models.JSONField()
    per = models.JSONField()
    parent = models.CharField(max_length=100, null=True)
    warn_at = models.JSONField()

    class Meta(Rule.Meta):
        constraints = [
            *Rule.Meta.constraints,
            not_negative("quota", "limit"),
        ]


class RunBudgetRule(Rule):
    KIND = "run_budget"

    max_steps = models.PositiveIntegerField(null=True)
    max_tool_calls = models.PositiveIntegerField(null=True)
    max_retries_per_tool = models.PositiveIntegerField(null=True)
    max_tokens = models.PositiveIntegerField(null=True)
    max_wall_clock_s = models.PositiveIntegerField(null=True)
    max_usd = models.CharField(max_length=40, null=True)
    loop_threshold = models.PositiveSmallIntegerField()

    class Meta(Rule.Meta):
        constraints = [
            *Rule.Meta.constraints,
            positive("run_budget", "max_steps"),
            positive("run_budget", "max_tokens"),
            positive("run_budget", "max_wall_clock_s"),
            positive("run_budget", "loop_threshold"),
            not_negative("run_budget", "max_usd"),
        ]


class KillSwitchRule(Rule):
    KIND = "kill_switch"

    effect = models.CharField(max_length=10)
    message = models.CharField(max_length=500)

    class Meta(Rule.Meta):
        constraints = [
            *Rule.Meta.constraints,
            one_of("kill_switch", "effect", ["deny", "fallback"]),
            models.CheckConstraint(
                condition=Q(expires_at__isnull=False), name="kill_switch_expires"
            ),
        ]


RULE_MODELS: dict[str, type[Rule]] = {
    model.KIND: model
    for model in (
        RetryRule,
        TimeoutRule,
        CircuitBreakerRule,
        FallbackRule,
        RateLimitRule,
        ConcurrencyRule,
        QuotaRule,
        RunBudgetRule,
        KillSwitchRule,
    )
}
