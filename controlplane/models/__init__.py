"""What operators own: projects, members, keys, prices, rules, and the audit trail."""

from __future__ import annotations

from controlplane.models.audit import AuditEntry
from controlplane.models.drafts import Draft, DraftChange, DraftState
from controlplane.models.instances import Instance, InstanceState
from controlplane.models.keys import ApiKey, KeyScope
from controlplane.models.login import LoginLink
from controlplane.models.policy import Environment, PolicyVersion, RuleChange
from controlplane.models.prices import Price, PriceUnit
from controlplane.models.projects import Membership, Project, Role
from controlplane.models.rules import (
    RULE_MODELS,
    CircuitBreakerRule,
    ConcurrencyRule,
    FallbackRule,
    KillSwitchRule,
    QuotaRule,
    RateLimitRule,
    RetryRule,
    Rule,
    RunBudgetRule,
    TimeoutRule,
)

__all__ = [
    "RULE_MODELS",
    "ApiKey",
    "AuditEntry",
    "CircuitBreakerRule",
    "ConcurrencyRule",
    "Draft",
    "DraftChange",
    "DraftState",
    "Environment",
    "FallbackRule",
    "Instance",
    "InstanceState",
    "KeyScope",
    "KillSwitchRule",
    "LoginLink",
    "Membership",
    "PolicyVersion",
    "Price",
    "PriceUnit",
    "Project",
    "QuotaRule",
    "RateLimitRule",
    "RetryRule",
    "Role",
    "Rule",
    "RuleChange",
    "RunBudgetRule",
    "TimeoutRule",
]
