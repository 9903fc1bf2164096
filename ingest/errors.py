"""What can be wrong with an export, by who must act."""

from __future__ import annotations


class RejectedExport(Exception):
    """The sender must change something; sending the same again is useless.

    ``status`` is the HTTP status that says so (400, 401, 403, 413, 415).
    """

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Busy(Exception):
    """We cannot store now; the same export is welcome after ``retry_after`` seconds.

    Never more than 3: stock Python exporters drop a batch that has to wait longer
    than what is left of their 10 s.
    """

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after
