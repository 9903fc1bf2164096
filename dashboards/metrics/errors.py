"""What can be wrong with a metrics question."""

from __future__ import annotations


class QueryError(Exception):
    """The asker must change something: ``pointer`` (RFC 6901) says where."""

    def __init__(self, code: str, message: str, pointer: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.pointer = pointer
