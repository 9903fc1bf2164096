"""Fail unless every branch of the pure rooms was run (after a run with ``--cov``).

The list of pure rooms is the one of the import contract, so there is only one.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def pure_rooms() -> list[str]:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = config["tool"]["importlinter"]["contracts"]
    return next(c["source_modules"] for c in contracts if c["id"] == "pure")


def patterns(room: str) -> list[str]:
    path = room.replace(".", "/")
    prefix = "sdk/python/" if room.startswith("switchgear") else ""
    return [f"{prefix}{path}.py", f"{prefix}{path}/*"]


if __name__ == "__main__":
    include = ",".join(p for room in pure_rooms() for p in patterns(room))
    command = ["coverage", "report", "--fail-under=100", f"--include={include}"]
    sys.exit(subprocess.call([sys.executable, "-m", *command]))
