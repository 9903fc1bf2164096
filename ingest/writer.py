"""The one thread of a process that writes telemetry: everything pending, one commit.

``submit`` only queues; the answer comes when the commit that holds the batch is
durable. While a commit is on its way to the disk, the next one gathers. A full queue
is ``Busy``.

Whatever happens to a commit, every batch of it is answered and the thread lives on:
a database that refuses is ``Busy`` for all; any other error makes each batch be tried
alone, so that a poisonous one harms no neighbour.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ingest import commit, live
from ingest.commit import Books
from ingest.errors import Busy, RejectedExport
from ingest.records import Batch
from ingest.stores import Store, Transaction, open_store
from ingest.ticks import TickBook, WriterClosed

logger = logging.getLogger(__name__)

PENDING_SPANS = 40_000
PENDING_BYTES = 64 << 20
COMMIT_SPANS = 8_000
# A commit waits so long for companions: flushing it costs as much as 100 spans.
LINGER_S = 0.002
WORTHWHILE_SPANS = 500
UPKEEP_S = 0.25
BREATH_S = 0.001  # for the event loop, while a fold is got ready
IDLE_UPKEEP_S = 5.0
HEARTBEAT_NS = 10_000_000_000

T = TypeVar("T")
Answer = int | Exception  # spans refused, or what went wrong
Announce = Callable[[Iterable[int]], None]


@dataclass(slots=True)
class Job:
    batch: Batch
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[int]


class Writer:
    """A queue, a thread, and the books the thread keeps."""

    def __init__(
        self,
        *,
        open_store: Callable[[], Store] = open_store,
        announce: Announce = live.announce,
    ) -> None:
        self._open_store = open_store
        self._announce = announce
        self._changed = threading.Condition()
        self._pending: deque[Job] = deque()
        self._spans = 0  # pending or being committed
        self._bytes = 0
        self._thread: threading.Thread | None = None
        self._draining = False
        self._trouble: str | None = None

    def submit(self, batch: Batch) -> asyncio.Future[int]:
        """Queue a batch; the future gives the number of spans there was no room for."""
        loop = asyncio.get_running_loop()
        job = Job(batch, loop, loop.create_future())
        with self._changed:
            if self._draining:
                msg = "the server is stopping"
                raise Busy(msg)
            if self._spans >= PENDING_SPANS or self._bytes >= PENDING_BYTES:
                msg = "the queue is full"
                raise Busy(msg)
            self._spans += len(batch.spans)
            self._bytes += size(batch)
            self._pending.append(job)
            self._start()
            self._changed.notify()
        return job.future

    def start(self) -> None:
        """Begin before the first export, with what earlier processes left undone."""
        with self._changed:
            self._start()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="telemetry-writer", daemon=True
            )
            self._thread.start()

    def drain(self) -> None:
        """Take no more, answer all that was taken, end the thread."""
        with self._changed:
            self._draining = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def trouble(self) -> str | None:
        """Why nothing can be stored now, as far as we know."""
        thread = self._thread
        if thread is not None and not thread.is_alive() and not self._draining:
            return "the writer has stopped"
        return self._trouble

    def _run(self) -> None:
        desk = Desk(self._open_store(), self._announce)
        try:
            while True:
                jobs = self._take(BREATH_S if desk.preparing else UPKEEP_S)
                if jobs:
                    self._commit(desk, jobs)
                elif self._draining:
                    return
                desk.upkeep()
                self._trouble = desk.trouble
        finally:
            desk.store.close()

    def _take(self, patience_s: float) -> list[Job]:
        """All that is pending, up to the size of a commit; waits a moment for any."""
        with self._changed:
            if not self._pending and not self._draining:
                self._changed.wait(patience_s)
            if self._pending and not self._draining:
                self._changed.wait_for(self._enough, LINGER_S)
            jobs: list[Job] = []
            spans = 0
            while self._pending and spans < COMMIT_SPANS:
                job = self._pending.popleft()
                spans += len(job.batch.spans)
                jobs.append(job)
            return jobs

    def _enough(self) -> bool:
        """Is a commit worth its flush to disk?"""
        return self._spans >= WORTHWHILE_SPANS or self._draining

    def _commit(self, desk: Desk, jobs: list[Job]) -> None:
        answers = desk.store_batches([job.batch for job in jobs])
        self._trouble = desk.trouble
        with self._changed:
            self._spans -= sum(len(job.batch.spans) for job in jobs)
            self._bytes -= sum(size(job.batch) for job in jobs)
        answer_all(jobs, answers)


class Desk:
    """What the writer's thread has before it: a store, and books once registered."""

    def __init__(self, store: Store, announce: Announce) -> None:
        self.store = store
        self._announce = announce
        self.trouble: str | None = None  # why the last transaction was refused
        self._books: Books | None = None
        self._seen_ns = 0
        self._upkeep_at = 0.0

    @property
    def preparing(self) -> bool:
        return self._books is not None and self._books.ticks.preparing

    def store_batches(self, batches: Sequence[Batch]) -> list[Answer]:
        """Commit together; if that cannot be, one by one. One answer per batch."""
        try:
            answers: list[Answer] = list(self._write(batches))
        except Busy as error:
            self._refused(error)
            return [error] * len(batches)
        except Exception as error:
            if len(batches) > 1:
                return [self.store_batches([batch])[0] for batch in batches]
            logger.exception(
                "telemetry.batch_unstorable", extra={"project": batches[0].project_id}
            )
            return [unstorable(error)]
        self.trouble = None
        self._announce({batch.project_id for batch in batches})
        return answers

    def _refused(self, error: Busy) -> None:
        self.trouble = str(error)
        logger.warning("telemetry.refused", extra={"reason": self.trouble})

    def _write(self, batches: Sequence[Batch]) -> list[int]:
        def work(tx: Transaction, books: Books) -> list[int]:
            return commit.write(tx, batches, books, now_ns=time.time_ns())

        try:
            return self._keeping_books(work)
        except WriterClosed:
            # Somebody took us for dead while we slept: go on as a new writer.
            self._books = None
            return self._keeping_books(work)

    def _keeping_books(self, work: Callable[[Transaction, Books], T]) -> T:
        """One transaction; the books follow it."""
        books = self._books or self._register()
        try:
            with self.store.begin() as tx:
                result = work(tx, books)
        except BaseException:
            books.forget()
            raise
        books.settle()
        return result

    def _register(self) -> Books:
        now_ns = time.time_ns()
        with self.store.begin() as tx:
            (writer,) = tx.ids("ingest_writer", 1)
            tx.insert(
                "ingest_writer",
                ("id", "started_at", "seen_at", "in_sets", "in_series", "closed"),
                [(writer, now_ns, now_ns, 0, 0, False)],
            )
        self._seen_ns = now_ns
        self.trouble = None
        self._books = Books(TickBook(writer))
        return self._books

    def upkeep(self) -> None:
        """What is due between commits; trouble here is for the log, and for later."""
        try:
            if self._books is not None:
                self._books.ticks.prepare(time.time_ns() / 1e9)
            if time.monotonic() < self._upkeep_at:
                return
            # Also to see whether a refusal is over: who asks may send only then.
            if self._books is None and (self.trouble or self._anything_left()):
                self._register()
            if self._books is not None:
                self._heartbeat(self._books)
                self._fold(self._books)
                self._derive(self._books)
        except WriterClosed:
            self._books = None
        except Busy as error:
            self._refused(error)
        except Exception:
            logger.exception("telemetry.upkeep_failed")
        pause = UPKEEP_S if self._books is not None else IDLE_UPKEEP_S
        self._upkeep_at = time.monotonic() + pause

    def _anything_left(self) -> bool:
        """Has a process that ended left traces to derive or ticks to fold?"""
        with self.store.read() as tx:
            return bool(
                tx.select(
                    "SELECT 1 FROM ingest_writer WHERE NOT closed UNION ALL "
                    "SELECT 1 FROM ingest_trace WHERE derive_after IS NOT NULL LIMIT 1"
                )
            )

    def _heartbeat(self, books: Books) -> None:
        now_ns = time.time_ns()
        if now_ns - self._seen_ns < HEARTBEAT_NS and self.trouble is None:
            return
        with self.store.begin() as tx:
            tx.execute(
                "UPDATE ingest_writer SET seen_at=%s WHERE id=%s",
                (now_ns, books.ticks.writer_id),
            )
        self._seen_ns = now_ns
        self.trouble = None

    def _fold(self, books: Books) -> None:
        now = time.time_ns() / 1e9
        if books.ticks.fold_due(now) is not None:
            self._keeping_books(lambda tx, books: books.ticks.fold(tx, now))

    def _derive(self, books: Books) -> None:
        # Asked without a lock: there is hardly ever one.
        now_ns = time.time_ns()
        with self.store.read() as tx:
            key = commit.waiting(tx, now_ns=now_ns)
        if key is not None:
            self._keeping_books(
                lambda tx, books: commit.derive_large(tx, key, books, now_ns=now_ns)
            )


def size(batch: Batch) -> int:
    return len(batch.wire) + len(batch.facts)


def unstorable(error: Exception) -> RejectedExport:
    refusal = RejectedExport("this export cannot be stored")
    refusal.__cause__ = error
    return refusal


def answer_all(jobs: Sequence[Job], answers: Sequence[Answer]) -> None:
    """Wake every waiting request, once per event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Job, Answer]]]
    by_loop = defaultdict(list)
    for job, answer in zip(jobs, answers, strict=True):
        by_loop[job.loop].append((job, answer))
    for loop, answered in by_loop.items():
        try:
            loop.call_soon_threadsafe(resolve, answered)
        except RuntimeError:
            # The loop is closed: nobody waits any more, and the spans are stored.
            logger.info("telemetry.nobody_waits", extra={"batches": len(answered)})


def resolve(answered: Iterable[tuple[Job, Answer]]) -> None:
    for job, answer in answered:
        if job.future.done():
            continue  # the client went away
        if isinstance(answer, Exception):
            job.future.set_exception(answer)
        else:
            job.future.set_result(answer)


_writer = Writer()
start = _writer.start
submit = _writer.submit
drain = _writer.drain
trouble = _writer.trouble
