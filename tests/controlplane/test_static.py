from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

from controlplane.finders import (
    NAME,
    TWIN,
    PlotlyFinder,
    make_twin,
    package_data,
    served_folder,
)


def test_plotly_is_the_one_of_the_installed_package():
    found = Path(finders.find("vendor/plotly.min.js"))

    assert found.read_bytes() == (package_data() / NAME).read_bytes()


def test_what_is_served_has_a_compressed_twin_that_is_made_once(tmp_path):
    folder = served_folder(tmp_path)
    twin = folder / TWIN
    made_at = twin.stat().st_mtime_ns

    assert gzip.decompress(twin.read_bytes()) == (package_data() / NAME).read_bytes()
    assert served_folder(tmp_path) == folder
    assert twin.stat().st_mtime_ns == made_at


def test_a_data_folder_that_cannot_be_written_is_no_trouble(tmp_path):
    (tmp_path / "static").write_text("not a folder")

    assert served_folder(tmp_path) == package_data()


def test_of_two_servers_that_make_the_twin_the_second_keeps_the_first(tmp_path):
    folder = served_folder(tmp_path)

    with pytest.raises(OSError, match="not empty"):
        make_twin(folder)

    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert served_folder(tmp_path) == folder


def test_the_finder_knows_nothing_else_of_the_package():
    finder = PlotlyFinder()

    assert finder.find("vendor/datasets/gapminder.csv.gz") is None
    assert finder.find("plotly.min.js", find_all=True) == []
    assert [name for name, _ in finder.list(None)] == [NAME, TWIN]
    assert finder.check() == []
