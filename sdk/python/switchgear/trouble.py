"""Trouble of our own: said once per kind, and never the caller's problem.

A kind is said again only after it was over, so that a control plane which is away for
a night is one line, and its next absence another.
"""

from __future__ import annotations

import logging

logger = logging.getLogger("switchgear")


class Trouble:
    """Which kinds of trouble were said and are not over."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def say(self, kind: str, what: object) -> None:
        """Log one line, unless this kind was logged already."""
        if kind in self._said:
            return
        self._said.add(kind)
        logger.warning("switchgear.%s: %s", kind, what)

    def over(self, kind: str) -> None:
        """It works again: the next time is worth a line."""
        self._said.discard(kind)
