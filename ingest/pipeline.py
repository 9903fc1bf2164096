"""The whole path of a span, in order. Read this file first.

    bytes -> decode -> protect -> normalise -> pack -> writer (one commit) -> answer

``receiver`` has authenticated, bounded and inflated the body. ``accept`` returns when
the spans are on disk and counted, so the 200 that follows is a promise. Everything up
to ``submit`` runs on the event loop: it takes a millisecond, less than handing it to a
thread and back would. A body large enough to be noticed goes to one thread of its own,
where only one such message is alive at a time.

On the writer's thread ``commit.write`` goes on: merge the versions of a span, derive
the calls of its trace, stage what that changes in the numbers.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import zstandard

from controlplane.readings import Access
from ingest import prices, writer
from ingest.content import protect
from ingest.normalise import Reading, normalise
from ingest.otlp.decode import decode
from ingest.prices import price_book
from ingest.records import Batch, pack_spans

INLINE_BYTES = 256 * 1024
DAY_NS = 86_400 * 10**9
# Level 3 is a tenth smaller than level 1 and costs 1.5 us a span more.
ZSTD_LEVEL = 3

_aside = ThreadPoolExecutor(1, thread_name_prefix="exports-aside")


class _Zstd(threading.local):
    """A compressor per thread, which keeps its tables from body to body."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(ZSTD_LEVEL).compress


_zstd = _Zstd()


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of an export: spans stored, spans refused by reason, oddities."""

    stored: int
    rejected: Counter[str] = field(default_factory=Counter)
    quirks: Counter[str] = field(default_factory=Counter)


async def accept(access: Access, body: bytes, content_type: str) -> Accepted:
    """Store an export; raises ``RejectedExport`` or ``Busy``."""
    asked = (access, body, content_type, time.time_ns())
    loop = asyncio.get_running_loop()
    if not prices.is_warm():
        await loop.run_in_executor(_aside, prices.warm)
    if len(body) <= INLINE_BYTES:
        batch, told = prepare(*asked)
    else:
        batch, told = await loop.run_in_executor(_aside, prepare, *asked)
    if not batch.spans:
        return told
    surplus = await writer.submit(batch)
    if surplus:
        told.rejected["trace_too_large"] += surplus
    return Accepted(len(batch.spans) - surplus, told.rejected, told.quirks)


def prepare(
    access: Access, body: bytes, content_type: str, received_ns: int
) -> tuple[Batch, Accepted]:
    """From bytes to a batch that only has to be written."""
    decoded = decode(body, content_type)
    wire = protect(decoded.request, decoded.raw)
    reading = reading_of(access, received_ns)
    normalised = normalise(decoded.request, reading, received_ns=received_ns)
    if normalised.rejected:
        wire = decoded.request.SerializeToString()
    batch = Batch(
        access.project_id,
        received_ns,
        normalised.spans,
        _zstd.compress(wire),
        _zstd.compress(pack_spans(normalised.spans)),
    )
    rejected = decoded.rejected + normalised.rejected
    return batch, Accepted(0, rejected, decoded.quirks)


def reading_of(access: Access, received_ns: int) -> Reading:
    project = access.project
    return Reading(
        project_id=access.project_id,
        tenant=access.tenant,
        tenant_keys=project.tenant_keys,
        fingerprint_key=project.fingerprint_key,
        price_book=price_book(project.prices),
        oldest_ns=received_ns - project.raw_retention_days * DAY_NS,
    )
