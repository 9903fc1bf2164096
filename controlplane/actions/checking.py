"""What only all rules together can be asked: do they fit, and do they end?"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from controlplane.actions.refusals import PolicyRefused
from switchgear.policy.documents.reading import rule_document
from switchgear.policy.documents.snapshot import MAX_BYTES, MAX_RULES
from switchgear.policy.errors import PolicyError
from switchgear.policy.review.cycles import check_together
from switchgear.policy.rules import Rule

COMPACT: dict[str, Any] = {"ensure_ascii": False, "separators": (",", ":")}
# A snapshot is its rules and a head of names and numbers.
MOST_RULE_BYTES = MAX_BYTES - 4096


def check(rules: Collection[Rule]) -> None:
    """Refuse what no environment of the project could be told."""
    if len(rules) > MAX_RULES:
        message = f"A project has at most {MAX_RULES} rules, not {len(rules)}"
        raise PolicyRefused("/rules", message)
    # Not the canonical spelling, which takes longer and is no longer.
    size = len(json.dumps([rule_document(rule) for rule in rules], **COMPACT).encode())
    if size > MOST_RULE_BYTES:
        message = f"The rules of a project take at most {MOST_RULE_BYTES} bytes"
        raise PolicyRefused("/rules", f"{message}, not {size}")
    try:
        check_together(rules)
    except PolicyError as error:
        # The rule at fault may be another one than that which was edited.
        message = f"{error.rule}: {error.message}"
        raise PolicyRefused(error.pointer, message, error.rule) from error
