"""What is wrong with a policy document, said so that its author can mend it."""

from __future__ import annotations


class PolicyError(ValueError):
    """A document that cannot be policy: where, and what would be allowed there."""

    def __init__(self, pointer: str, message: str, rule: str | None = None) -> None:
        # An RFC 6901 pointer ("/rules/3/limit"); empty for the whole document.
        self.pointer = pointer
        self.message = message
        self.rule = rule
        super().__init__(pointer, message, rule)

    def __str__(self) -> str:
        where = f" ({self.pointer})" if self.pointer else ""
        return f"{self.message}{where}"

    def about(self, rule: str | None) -> PolicyError:
        """The same error, which now says whose it is."""
        return PolicyError(self.pointer, self.message, rule)


def below(pointer: str, path: str) -> str:
    """The pointer further down, along a path of plain names."""
    return f"{pointer}/{path}"


def step(pointer: str, key: str | int) -> str:
    """The pointer one step further down, with the key escaped."""
    return f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"
