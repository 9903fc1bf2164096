"""Serves ``plotly.min.js`` out of the installed plotly package.

So the page's library and the Python that builds its figures are always of one
version, and no copy of it lies in this repository. What is served is a copy in the
data folder with a gzip twin, made when the version is new: 1.5 MB go to the browser
instead of 4.8.
"""

from __future__ import annotations

import contextlib
import gzip
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.core.checks import CheckMessage
from django.core.files.storage import FileSystemStorage, Storage

NAME = "plotly.min.js"
TWIN = f"{NAME}.gz"


def package_data() -> Path:
    # find_spec, not import: plotly costs memory that a server without an open
    # chart page never needs.
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        msg = "plotly is not installed"
        raise ImportError(msg)
    return Path(spec.origin).parent / "package_data"


def served_folder(data: Path) -> Path:
    """The folder that holds the file and its twin; the package's own if we may not."""
    folder = data / "static" / f"plotly-{version('plotly')}"
    with contextlib.suppress(OSError):
        if not folder.exists():
            make_twin(folder)
    return folder if folder.exists() else package_data()


def make_twin(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        shutil.copy(package_data() / NAME, made / NAME)
        with gzip.open(made / TWIN, "wb", compresslevel=6) as file:
            file.write((made / NAME).read_bytes())
        made.chmod(0o755)
        # In one step: who sees the folder sees both files.
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


class PlotlyFinder(BaseFinder):
    """Knows one file, ``vendor/plotly.min.js``, and lists its twin beside it."""

    path = f"vendor/{NAME}"

    def __init__(self, *args: object, **kwargs: object) -> None:
        self.storage = FileSystemStorage(location=served_folder(settings.DATA_DIR))
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
        for name in (NAME, TWIN):
            if self.storage.exists(name):
                yield name, self.storage
