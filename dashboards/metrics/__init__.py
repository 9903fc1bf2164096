"""Questions about numbers: parse, run, and what can be asked.

document -> parse -> Query -> run -> answer -> JSON or CSV
"""

from __future__ import annotations

from dashboards.metrics.catalogue import catalog
from dashboards.metrics.errors import QueryError
from dashboards.metrics.export import to_csv
from dashboards.metrics.query import Query, from_parameters, parse
from dashboards.metrics.running import run

__all__ = [
    "Query",
    "QueryError",
    "catalog",
    "from_parameters",
    "parse",
    "run",
    "to_csv",
]
