from __future__ import annotations

from pathlib import Path

from django.contrib.staticfiles import finders

from controlplane.finders import PlotlyFinder, package_data


def test_plotly_comes_from_the_installed_package():
    found = finders.find("vendor/plotly.min.js")

    assert Path(found).parent == package_data()
    assert Path(found).stat().st_size > 1_000_000


def test_the_finder_knows_nothing_else_of_the_package():
    finder = PlotlyFinder()

    assert finder.find("vendor/datasets/gapminder.csv.gz") is None
    assert finder.find("plotly.min.js", find_all=True) == []
    assert [name for name, _ in finder.list(None)] == ["plotly.min.js"]
    assert finder.check() == []
