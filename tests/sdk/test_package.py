"""The distribution: typed, alone, and what its version says it is."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import switchgear

ROOT = Path(__file__).parents[2]
SDK = ROOT / "sdk/python"


def run(*command: object, **options: object) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(
        *(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder),
        cwd=SDK,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def alone(wheel, tmp_path_factory) -> Path:
    """An environment in which there is the wheel and nothing else."""
    folder = tmp_path_factory.mktemp("alone")
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(packages)
    return folder / "bin/python"


PROGRAM = """
import sys
from switchgear import Client, Refused, current_call
from switchgear.testing import fixed_policy
client = Client(endpoint="")
search = client.tool("search", fallback=lambda: "offered")(lambda: 1 / 0)
with fixed_policy(client, {"kind": "retry", "selector": {}}) as seen:
    assert search() == "offered"
strangers = {name.partition(".")[0] for name in sys.modules} - {
    "switchgear", "encodings", *sys.stdlib_module_names}
print(sorted(name for name in strangers if not name.startswith("_")))
"""


def test_the_wheel_works_where_there_is_nothing_else(alone, tmp_path):
    said = run(alone, "-I", "-c", PROGRAM, cwd=tmp_path)

    assert said == "[]\n"


def test_the_wheel_holds_the_package_and_its_types(wheel):
    names = zipfile.ZipFile(wheel).namelist()

    assert "switchgear/py.typed" in names
    assert "switchgear/policy/decide.py" in names
    assert wheel.name == f"switchgear-{switchgear.__version__}-py3-none-any.whl"
    assert not [name for name in names if "test_" in name or "pyc" in name]


def test_the_public_surface_is_typed_strictly(tmp_path):
    checked = run(
        *(sys.executable, "-m", "mypy", "--strict", "--config-file", "/dev/null"),
        *("--cache-dir", tmp_path, "tests/sdk/surface.py"),
        cwd=ROOT,
        env={"MYPYPATH": str(SDK), "PATH": ""},
    )

    assert "no issues" in checked


def test_policy_alone_brings_no_client_with_it():
    program = (
        "import sys; import switchgear.policy.decide;"
        "print([name for name in sys.modules if name.startswith('switchgear.')"
        " and not name.startswith('switchgear.policy')])"
    )

    assert run(sys.executable, "-c", program) == "[]\n"


def test_all_that_is_promised_is_there():
    assert {name for name in switchgear.__all__ if getattr(switchgear, name)} == set(
        switchgear.__all__
    )
    with pytest.raises(AttributeError, match="nothing"):
        _ = switchgear.nothing
