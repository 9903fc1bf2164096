"""Plain Django admin, for what has no page of its own yet.

Every change goes through the same action as everywhere else; what may not be changed
(keys, versions, the audit trail) cannot be changed here either.
"""

from __future__ import annotations

from controlplane.admin import audit, keys, policy, prices, projects, rules

__all__ = ["audit", "keys", "policy", "prices", "projects", "rules"]
