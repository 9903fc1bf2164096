"""Serves ``plotly.min.js`` out of the installed plotly package.

So the page's library and the Python that builds its figures are always of one
version, and no copy of it lies in this repository.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.finders import BaseFinder
from django.core.checks import CheckMessage
from django.core.files.storage import FileSystemStorage, Storage

NAME = "plotly.min.js"


def package_data() -> Path:
    # find_spec, not import: plotly costs memory that a server without an open
    # chart page never needs.
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        msg = "plotly is not installed"
        raise ImportError(msg)
    return Path(spec.origin).parent / "package_data"


class PlotlyFinder(BaseFinder):
    """Knows one file, ``vendor/plotly.min.js``."""

    path = f"vendor/{NAME}"

    def __init__(self, *args: object, **kwargs: object) -> None:
        self.storage = FileSystemStorage(location=package_data())
        # The prefix becomes part of the name under STATIC_URL.
        self.storage.prefix = "vendor"  # type: ignore[attr-defined]

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        return []

    def find(  # type: ignore[override]  # the stubs' overloads, as one signature
        self, path: str, find_all: bool = False, **kwargs: Any
    ) -> str | list[str] | None:
        found = [self.storage.path(NAME)] if path == self.path else []
        if find_all:
            return found
        return found[0] if found else None

    def list(
        self, ignore_patterns: Iterable[str] | None
    ) -> Iterator[tuple[str, Storage]]:
        yield NAME, self.storage
