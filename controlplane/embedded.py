"""A Celery worker and beat in threads of this process, for the one-process start.

The same tasks, schedule and code as over Redis, but serial and not durable.
"""

from __future__ import annotations

import logging
import threading

from celery import beat
from celery.worker import WorkController, state

from controlplane.celery import app

logger = logging.getLogger(__name__)
STOP_S = 5.0


class EmbeddedJobs:
    def __init__(self) -> None:
        # WorkController, not celery's Worker: that one takes over signals and logging.
        self._worker = WorkController(
            app=app,
            pool_cls="solo",
            concurrency=1,
            without_heartbeat=True,
            without_mingle=True,
            without_gossip=True,
        )
        self._thread = threading.Thread(
            target=self._worker.start, name="jobs", daemon=True
        )
        self._beat = beat.EmbeddedService(
            app, thread=True, scheduler_cls=app.conf.beat_scheduler
        )

    def start(self) -> None:
        self._thread.start()
        self._beat.start()

    def stop(self) -> None:
        # Both threads wait for their next turn, for seconds: only a running job is
        # worth waiting for. They are daemons and end with the process.
        self._beat.service.stop(wait=False)
        self._worker.stop()
        if state.active_requests:
            self._thread.join(STOP_S)
        if state.active_requests:
            # The job finds its rows again at the next start.
            logger.warning("jobs.stop_timed_out")
