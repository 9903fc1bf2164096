from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from controlplane import env

ROOT = Path(__file__).parents[2]


def test_every_variable_is_in_the_manual_with_its_default():
    manual = (ROOT / "docs/settings.md").read_text()

    rows = re.findall(
        r"^\| `([A-Z_]+)` \| (?:`([^`]*)`)? *\| (.+) \|$", manual, re.MULTILINE
    )

    assert rows == [(v.name, v.default, v.meaning) for v in env.VARIABLES.values()]


def test_a_variable_that_is_not_declared_cannot_be_read():
    with pytest.raises(KeyError):
        env.env_text("SWITCHGEAR_SURPRISE")


def test_nobody_reads_the_environment_past_the_table():
    packages = [ROOT / name for name in ("controlplane", "ingest", "dashboards")]
    readers = {
        str(path.relative_to(ROOT))
        for package in packages
        for path in package.rglob("*.py")
        if re.search(r"os\.(environ(?!\.setdefault)|getenv)", path.read_text())
    }

    assert readers == {"controlplane/env.py"}


@pytest.mark.parametrize(
    ("raw", "value"), [("yes", True), ("TRUE", True), ("0", False), ("", False)]
)
def test_booleans_are_read(monkeypatch, raw, value):
    monkeypatch.setenv("SWITCHGEAR_DEBUG", raw)

    assert env.env_bool("SWITCHGEAR_DEBUG") is value


@pytest.mark.parametrize(
    ("read", "name"),
    [(env.env_bool, "SWITCHGEAR_DEBUG"), (env.env_int, "SWITCHGEAR_PORT")],
)
def test_a_value_of_the_wrong_kind_is_named(monkeypatch, read, name):
    monkeypatch.setenv(name, "maybe")

    with pytest.raises(env.EnvError, match=f"{name}='maybe'"):
        read(name)


def test_a_secret_may_be_a_file(monkeypatch, tmp_path):
    path = tmp_path / "secret"
    path.write_text("from a file\n")
    monkeypatch.setenv("SWITCHGEAR_SECRET_KEY_FILE", str(path))

    assert env.env_secret("SWITCHGEAR_SECRET_KEY") == "from a file"


def test_a_list_forgives_spaces(monkeypatch):
    monkeypatch.setenv("SWITCHGEAR_ALLOWED_HOSTS", "a.example, b.example,")

    assert env.env_list("SWITCHGEAR_ALLOWED_HOSTS") == ["a.example", "b.example"]


def test_a_made_secret_is_kept_and_private(tmp_path):
    path = tmp_path / "new" / "secret.key"

    first = env.kept_secret(path)

    assert env.kept_secret(path) == first
    assert len(first) >= 50
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["secret.key"]


def test_of_two_that_make_a_secret_at_once_both_get_one(tmp_path, monkeypatch):
    path = tmp_path / "secret.key"
    path.write_text("made by the other")
    looks = iter([False])
    monkeypatch.setattr(Path, "exists", lambda _: next(looks))

    assert env.kept_secret(path) == "made by the other"
