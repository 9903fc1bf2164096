"""Questions about numbers: parse, run, and what can be asked.

document -> parse -> Query -> run -> answer -> JSON or CSV
"""

from __future__ import annotations

from dashboards.metrics.catalogue import catalog
from dashboards.metrics.errors import QueryError
from dashboards.metrics.export import to_csv
from dashboards.metrics.query import Query, parse
from dashboards.metrics.running import run

__all__ = ["Query", "QueryError", "catalog", "parse", "run", "to_csv"]
