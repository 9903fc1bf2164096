"""Every write to the control database: one function per operator intent.

Each validates, writes, adds one audit entry in the same transaction, and announces on
commit. Admin, boards, REST and commands call these and nothing else.
"""

from __future__ import annotations

from controlplane.actions.keys import MadeKey, create_key, revoke_key
from controlplane.actions.login import make_login_link, use_login_link
from controlplane.actions.members import remove_member, set_member
from controlplane.actions.prices import end_price, set_price
from controlplane.actions.projects import (
    create_project,
    find_or_create_project,
    project_named,
    update_project,
)

__all__ = [
    "MadeKey",
    "create_key",
    "create_project",
    "end_price",
    "find_or_create_project",
    "make_login_link",
    "project_named",
    "remove_member",
    "revoke_key",
    "set_member",
    "set_price",
    "update_project",
    "use_login_link",
]
