"""Every write to the control database: one function per operator intent.

Each validates, writes, adds one audit entry in the same transaction, and announces on
commit. Admin, boards, REST and commands call these and nothing else.
"""

from __future__ import annotations

from controlplane.actions.drafts import (
    discard_draft,
    moved_since,
    open_draft,
    publish_draft,
    rebase_draft,
    take_back,
)
from controlplane.actions.keys import MadeKey, create_key, revoke_key
from controlplane.actions.login import make_login_link, use_login_link
from controlplane.actions.members import remove_member, set_member
from controlplane.actions.policy import (
    first_version,
    import_rules,
    publish,
    roll_back,
)
from controlplane.actions.prices import end_price, set_price
from controlplane.actions.projects import (
    create_project,
    find_or_create_project,
    project_named,
    update_project,
)
from controlplane.actions.publishing import Published
from controlplane.actions.refusals import DraftMoved, PolicyRefused, RuleChanged
from controlplane.actions.rules import (
    create_rule,
    delete_rule,
    delete_rules,
    save_rule,
    set_mode,
)

__all__ = [
    "DraftMoved",
    "MadeKey",
    "PolicyRefused",
    "Published",
    "RuleChanged",
    "create_key",
    "create_project",
    "create_rule",
    "delete_rule",
    "delete_rules",
    "discard_draft",
    "end_price",
    "find_or_create_project",
    "first_version",
    "import_rules",
    "make_login_link",
    "moved_since",
    "open_draft",
    "project_named",
    "publish",
    "publish_draft",
    "rebase_draft",
    "remove_member",
    "revoke_key",
    "roll_back",
    "save_rule",
    "set_member",
    "set_mode",
    "set_price",
    "take_back",
    "update_project",
    "use_login_link",
]
