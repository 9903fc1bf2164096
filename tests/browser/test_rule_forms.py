"""Rules in the admin as people edit them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.needs("chromium")


@pytest.fixture
def chain(sender, tmp_path):
    """A fallback over three targets in a project of this test."""
    rule = {
        "id": f"fb-{sender.project}",
        "kind": "fallback",
        "selector": {"target": "tool:search"},
        "chain": [{"target": f"tool:{name}"} for name in ("one", "two", "three")],
    }
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"api_version": "policy.v1", "rules": [rule]}))
    sender.server.manage("policy", "import", str(file), "--project", sender.project)
    return rule["id"]


def chain_in(sender, folder: Path) -> list[str]:
    file = folder / "exported.json"
    sender.server.manage("policy", "export", str(file), "--project", sender.project)
    [rule] = json.loads(file.read_text())["rules"]
    return [hop["target"] for hop in rule["chain"]]


def test_targets_are_moved_with_buttons(sender, chain, open_page, tmp_path):
    page = open_page(f"/admin/controlplane/fallbackrule/?q={chain}")
    page.get_by_role("link", name=chain).click()
    lines = page.locator("table.chain tbody tr")
    expect(lines.nth(0).get_by_label("target 1")).to_have_value("tool:one")

    lines.nth(2).get_by_role("button", name="Move up").click()
    lines.nth(0).get_by_role("button", name="Move down").click()
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.locator(".messagelist")).to_contain_text("was changed successfully")
    assert chain_in(sender, tmp_path) == ["tool:three", "tool:one", "tool:two"]


def test_a_refusal_stands_at_its_field(chain, open_page):
    page = open_page(f"/admin/controlplane/fallbackrule/?q={chain}")
    page.get_by_role("link", name=chain).click()

    page.get_by_label("applies to").fill("tool=search")
    page.get_by_role("button", name="Save", exact=True).click()

    refused = page.locator(".field-selector .errorlist")
    expect(refused).to_contain_text("tool: is not known here")
    expect(page.get_by_label("applies to")).to_have_value("tool=search")
