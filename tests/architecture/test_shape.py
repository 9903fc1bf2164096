"""Rules about the code base itself that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("controlplane", "ingest", "dashboards", "sdk/python/switchgear")
MODULES = [
    path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    if "migrations" not in path.parts
]
each_module = pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: str(path.relative_to(ROOT))
)


def tracked() -> list[Path]:
    names = subprocess.check_output(
        ["git", "ls-files", "-z"],  # noqa: S607  whichever git is there
        cwd=ROOT,
        text=True,
    )
    return [ROOT / name for name in names.split("\0") if name]


@each_module
def test_modules_stay_small(path):
    assert len(path.read_text().splitlines()) <= 400


@each_module
def test_functions_stay_small(path):
    long = [
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > 50
    ]

    assert long == []


@each_module
def test_a_module_of_more_than_a_screen_says_what_it_is(path):
    text = path.read_text()

    if len(text.splitlines()) > 40:
        assert ast.get_docstring(ast.parse(text))


@each_module
def test_nobody_reaches_telemetry_tables_by_name(path):
    """An import contract guards ``ingest.models``; this guards the way around it."""
    if path.is_relative_to(ROOT / "ingest"):
        return

    text = path.read_text()
    assert not re.search(r"""get_model\(\s*["']ingest""", text)
    assert not re.search(r"\bingest_(span|call|body|trace|tick|rollup)\b", text)


@each_module
def test_a_todo_names_its_issue(path):
    assert not re.search(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))", path.read_text())


def test_no_path_of_a_machine_is_in_the_repository():
    """Temporary folders and installed programs are fine, homes and checkouts not."""
    pattern = re.compile(rf"{re.escape(str(ROOT))}|/home/\w|/root/|/Users/\w")
    me = Path(__file__)

    found = [
        path.relative_to(ROOT)
        for path in tracked()
        if path.is_file()
        and path != me
        and pattern.search(path.read_text(encoding="utf-8", errors="ignore"))
    ]

    assert found == []


def test_models_and_migrations_agree(db):
    from django.core.management import call_command

    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_templates_hold_no_inline_script():
    """The content security policy would block it, silently for whoever wrote it."""
    inline = re.compile(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)|\son\w+=\"")

    found = [
        path.relative_to(ROOT)
        for path in sorted((ROOT / "templates").rglob("*.html"))
        if inline.search(path.read_text())
    ]

    assert found == []


def test_no_page_loads_anything_from_elsewhere():
    remote = re.compile(r"""(src|href)=["'](https?:)?//|@import|url\(["']?https?:""")

    found = [
        path.relative_to(ROOT)
        for folder in ("templates", "static")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in {".html", ".css", ".js"} and remote.search(path.read_text())
    ]

    assert found == []
