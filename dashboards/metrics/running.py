"""Where metrics questions meet the database; everything else here is pure."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from dashboards.metrics import times
from dashboards.metrics.evaluate import evaluate
from dashboards.metrics.query import Query
from ingest.queries.rollups import complete_until
from ingest.queries.snapshot import snapshot


def run(query: Query, *, project_id: int, now: float) -> dict[str, Any]:
    """The answer to a question, all of it of one moment."""
    began = perf_counter()
    with snapshot() as select:
        answer = evaluate(query, select, project_id=project_id, now=int(now))
        complete = complete_until(select, project_id, now=int(now))
    meta = answer["meta"]
    meta["complete_until"] = times.written(complete)
    meta["took_ms"] = round((perf_counter() - began) * 1_000, 1)
    return answer
