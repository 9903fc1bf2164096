"""Files that other tools read: they parse, and say what they must."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
YAML = [".github/workflows/ci.yml", ".pre-commit-config.yaml", "docker-compose.yml"]


@pytest.mark.parametrize("name", YAML)
def test_yaml_files_parse(name):
    assert yaml.safe_load((ROOT / name).read_text())


def test_the_scaled_shape_has_its_parts_and_two_databases():
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())

    services = compose["services"]
    assert set(services) == {"control", "telemetry", "redis", "web", "worker", "beat"}
    for name in ("web", "worker", "beat"):
        environment = services[name]["environment"]
        assert "@control:" in environment["DATABASE_URL"]
        assert "@telemetry:" in environment["TELEMETRY_DATABASE_URL"]


def test_make_offers_what_the_manual_promises():
    shown = subprocess.check_output(
        ["make", "--no-print-directory", "help"],  # noqa: S607  whichever make
        cwd=ROOT,
        text=True,
    )

    names = [line.split()[0] for line in shown.splitlines()]
    assert {"run", "test", "lint", "fix", "check", "soak", "help"} <= set(names)


def test_the_client_package_needs_nothing():
    config = tomllib.loads((ROOT / "sdk/python/pyproject.toml").read_text())

    assert config["project"]["dependencies"] == []


def test_the_ci_script_is_a_program():
    assert (ROOT / ".ci/run").stat().st_mode & 0o111
    subprocess.check_call(["bash", "-n", ".ci/run"], cwd=ROOT)  # noqa: S607


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "docs", "sdk/python"])
def test_links_between_pages_lead_somewhere(name):
    root = ROOT / name
    pages = [root] if root.is_file() else sorted(root.rglob("*.md"))

    missing = [
        (str(page.relative_to(ROOT)), target)
        for page in pages
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
        if not (page.parent / target).exists()
    ]

    assert missing == []
