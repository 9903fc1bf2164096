"""Periodic work on telemetry; each job finds what there is to do in rows."""

from __future__ import annotations

import logging
import time

from controlplane.jobs import periodic
from controlplane.models import Project
from ingest import retention
from ingest.errors import Busy
from ingest.stores import open_store

logger = logging.getLogger(__name__)

DAY_NS = 86_400 * 10**9
# A run leaves the jobs' thread to others before the next is due.
LONGEST_RUN_S = 20


@periodic(every=60)
def purge_telemetry() -> None:
    """Remove what projects no longer keep."""
    now_ns = time.time_ns()
    keeps = [
        (project, now_ns - days * DAY_NS)
        for project, days in Project.objects.order_by("pk").values_list(
            "pk", "raw_retention_days"
        )
    ]
    store = open_store()
    try:
        retention.purge(
            store,
            keeps=keeps,
            now=now_ns / 1e9,
            until=time.monotonic() + LONGEST_RUN_S,
        )
    except Busy as error:
        # The next run goes on where this one stopped.
        logger.warning("telemetry.purge_stopped", extra={"reason": str(error)})
    finally:
        store.close()
