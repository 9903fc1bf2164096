"""What operators own: projects, their members and keys, prices, and the audit trail."""

from __future__ import annotations

from controlplane.models.audit import AuditEntry
from controlplane.models.keys import ApiKey, KeyScope
from controlplane.models.login import LoginLink
from controlplane.models.prices import Price, PriceUnit
from controlplane.models.projects import Membership, Project, Role

__all__ = [
    "ApiKey",
    "AuditEntry",
    "KeyScope",
    "LoginLink",
    "Membership",
    "Price",
    "PriceUnit",
    "Project",
    "Role",
]
