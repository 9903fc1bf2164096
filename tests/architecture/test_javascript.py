"""The browser's modules have tests of their own; here they are run with the rest."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.needs("node")
def test_the_javascript_units_pass():
    tests = sorted((ROOT / "tests/js").glob("*.test.js"))

    result = subprocess.run(
        ["node", "--test", *tests],  # noqa: S607  whichever node is there
        capture_output=True,
        text=True,
        check=False,
    )

    assert tests
    assert result.returncode == 0, result.stdout
