"""The import contracts hold, and each of them notices when it is broken."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("controlplane", "ingest", "dashboards")
# One import each contract forbids: contract, file, line.
VIOLATIONS = [
    ("layers", "controlplane/models/projects.py", "import ingest.errors"),
    ("layers", "ingest/errors.py", "import dashboards.apps"),
    ("layers", "sdk/python/switchgear/policy/vocabulary.py", "import controlplane.env"),
    ("pure", "ingest/records.py", "import django"),
    ("pure", "sdk/python/switchgear/policy/vocabulary.py", "import celery"),
    ("kernel", "sdk/python/switchgear/policy/facts.py", "import random"),
    ("kernel", "sdk/python/switchgear/policy/decide.py", "import switchgear.clock"),
    ("ingest", "ingest/stores/base.py", "import ingest.pipeline"),
    ("ingest", "ingest/commit.py", "import ingest.queries"),
    ("protected", "dashboards/apps.py", "import ingest.models"),
    ("client", "sdk/python/switchgear/call.py", "import switchgear.client"),
    ("client", "sdk/python/switchgear/policy/facts.py", "import switchgear.clock"),
    ("server", "controlplane/env.py", "from switchgear import Client"),
    ("cycles", "controlplane/models/projects.py", "import controlplane.models.keys"),
]


def contracts() -> set[str]:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return {c["id"] for c in config["tool"]["importlinter"]["contracts"]}


def lint(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [program, "--no-logo", "--no-cache", *arguments],
        cwd=folder,
        # The copy's client package, not the installed one.
        env={"PYTHONPATH": str(folder / "sdk/python")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path) -> Path:
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "sdk/python/switchgear", tmp_path / "sdk/python/switchgear")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_all_contracts_are_kept():
    result = lint(ROOT)

    assert result.returncode == 0, result.stdout


def test_every_contract_has_a_violation_here():
    assert {contract for contract, _, _ in VIOLATIONS} == contracts()


@pytest.mark.parametrize(("contract", "file", "line"), VIOLATIONS, ids=str)
def test_a_violation_breaks_its_contract(copy, contract, file, line):
    path = copy / file
    path.write_text(f"{path.read_text()}\n{line}\n")

    result = lint(copy, "--contract", contract)

    assert result.returncode == 1, result.stdout + result.stderr
    assert "BROKEN" in result.stdout
