"""What one export may cost, and reading and inflating within that.

Every limit is kept while reading, never after: a body is refused at the first byte
too many, an inflated one too, so that neither a wrong ``Content-Length`` nor a gzip
bomb can take more memory than the limit says.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from ingest.errors import Busy, RejectedExport

MAX_BODY_BYTES = 20 * 1024 * 1024  # as received, and again after inflating
MAX_SPANS = 100_000  # per request; more is refused with 413
MAX_ATTRIBUTES = 1_000  # per span; more are dropped and counted
MAX_EVENTS = 1_000  # per span; the earliest beyond it are dropped and counted
MAX_LINKS = 1_000  # per span
MAX_JSON_NODES = 2_000_000  # objects and arrays of one JSON body
MAX_DEPTH = 24  # arrays and lists inside one another in a JSON attribute
READ_SECONDS = 60.0  # to receive the whole body
BUDGET_BYTES = 64 * 1024 * 1024  # bodies in flight, per process

_STEP_BYTES = 256 * 1024
_MEMBERS = 1_000  # gzip members of one body
_GZIP, _ZLIB, _RAW = 31, 15, -15
_WINDOW_32K = 7
ENCODINGS = frozenset({"", "identity", "gzip", "deflate"})


class Budget:
    """Bytes of bodies this process holds at once; beyond it the answer is ``Busy``."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.held = 0

    def take(self, amount: int) -> None:
        if self.held + amount > self.total:
            message = f"more than {self.total} bytes of exports in flight"
            raise Busy(message)
        self.held += amount

    def give(self, amount: int) -> None:
        self.held -= amount


class Body:
    """A body as it arrives: ``feed`` every chunk, then ``close`` gives the bytes.

    ``feed`` yields between bounded steps of inflating, so that the caller can let
    other connections go on. ``held`` is what was taken from the budget.
    """

    def __init__(self, encoding: str, budget: Budget) -> None:
        if encoding not in ENCODINGS:
            message = f"Content-Encoding {encoding!r} is not gzip or deflate"
            raise RejectedExport(message, status=415)
        self.held = 0
        self._encoding = encoding
        self._budget = budget
        self._received = 0
        self._inflated = 0
        self._members = 0
        self._pieces: list[bytes] = []
        self._stream: zlib._Decompress | None = None

    def feed(self, chunk: bytes) -> Iterator[None]:
        self._received += len(chunk)
        if self._received > MAX_BODY_BYTES:
            raise too_large("body")
        if self._encoding in {"", "identity"}:
            self._keep(chunk)
            return
        while chunk:
            if self._stream is None or self._stream.eof:
                self._stream = self._next_member(chunk)
            self._keep(self._inflate(self._stream, chunk))
            chunk = self._stream.unconsumed_tail or self._stream.unused_data
            yield

    def close(self) -> bytes:
        if self._stream is not None:
            self._finish(self._stream)
        if len(self._pieces) == 1:
            return self._pieces[0]
        return b"".join(self._pieces)

    def release(self) -> None:
        self._budget.give(self.held)
        self.held = 0

    def _finish(self, stream: zlib._Decompress) -> None:
        # The last bytes of a step that ended exactly at its bound are still inside.
        while not stream.eof:
            piece = self._inflate(stream, stream.unconsumed_tail)
            if not piece:
                message = f"the {self._encoding} body ends too early"
                raise RejectedExport(message)
            self._keep(piece)

    def _keep(self, piece: bytes) -> None:
        self._budget.take(len(piece))
        self.held += len(piece)
        self._inflated += len(piece)
        if self._inflated > MAX_BODY_BYTES:
            raise too_large("inflated body")
        if piece:
            self._pieces.append(piece)

    def _inflate(self, stream: zlib._Decompress, chunk: bytes) -> bytes:
        try:
            return stream.decompress(chunk, _STEP_BYTES)
        except zlib.error as error:
            message = f"the body is not valid {self._encoding}"
            raise RejectedExport(message) from error

    def _next_member(self, chunk: bytes) -> zlib._Decompress:
        self._members += 1
        if self._members > _MEMBERS:
            message = f"more than {_MEMBERS} gzip members in one body"
            raise RejectedExport(message)
        if self._encoding == "gzip":
            return zlib.decompressobj(_GZIP)
        # "deflate" means zlib, but many senders leave its two-byte header away.
        method, window = chunk[0] & 0x0F, chunk[0] >> 4
        zlib_header = method == zlib.DEFLATED and window <= _WINDOW_32K
        return zlib.decompressobj(_ZLIB if zlib_header else _RAW)


def too_large(what: str) -> RejectedExport:
    message = f"the {what} is larger than {MAX_BODY_BYTES} bytes"
    return RejectedExport(message, status=413)


def refuse_more_than_max(spans: int) -> None:
    if spans > MAX_SPANS:
        message = f"more than {MAX_SPANS} spans in one export"
        raise RejectedExport(message, status=413)
