"""Why an edit of the policy was refused. Whoever made it can mend it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from switchgear.policy.errors import PolicyError

# Control characters, and halves of surrogate pairs: no database takes all of them.
UNWRITABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


class PolicyRefused(Exception):
    """Not policy: where (an RFC 6901 pointer), and what would be allowed there."""

    def __init__(self, pointer: str, message: str, rule: str | None = None) -> None:
        super().__init__(pointer, message, rule)
        self.pointer = pointer
        self.message = message
        self.rule = rule

    def __str__(self) -> str:
        return f"{self.pointer}: {self.message}" if self.pointer else self.message


class RuleChanged(PolicyRefused):
    """Somebody else changed the rule since its editor read it."""

    def __init__(self, rule: str, rev: int | None) -> None:
        now = f"is at revision {rev} now" if rev else "is gone"
        super().__init__("/rev", f"{rule} {now}: look at it again", rule)


class DraftMoved(PolicyRefused):
    """Rules changed since the draft was opened; ``moved`` says how, in sentences."""

    def __init__(self, moved: Sequence[str]) -> None:
        self.moved = tuple(moved)
        what = "; ".join(moved)
        super().__init__("", f"Rules changed under this draft: {what}. Rebase it.")


def checked_line(pointer: str, text: object, most: int) -> str:
    """A note on one line; empty is fine."""
    if isinstance(text, str) and len(text) <= most and not UNWRITABLE.search(text):
        return text.strip()
    message = f"must be one line of text, at most {most} characters long"
    raise PolicyRefused(pointer, message)


def refused(error: PolicyError) -> PolicyRefused:
    return PolicyRefused(error.pointer, error.message, error.rule)
