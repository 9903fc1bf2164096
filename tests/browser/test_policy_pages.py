"""The policy pages as operators use them: by mouse, by keyboard, and by waiting."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import tool_span

pytestmark = pytest.mark.needs("chromium")

PUSHED_MS = 2_000  # what was acknowledged is on the page within two seconds


def address(sender, path="", query=""):
    return f"/policy/{path}?project={sender.project}{query}"


def foot(page):
    """The rollout at the foot of the navigation, on every page."""
    return page.locator("#rollout")


def targets(page):
    """What stands in the chain, from the top down."""
    boxes = page.locator('.hop input[name="chain.target"]')
    return [box.input_value() for box in boxes.all()]


def make_chain(page, sender, *names):
    """A fallback rule, made in its form by mouse."""
    page.goto(sender.server.base + address(sender, "new/fallback/"))
    page.get_by_label("Name", exact=True).fill("fb-search")
    for name in names:
        page.get_by_role("button", name="Add target").click()
        page.locator('.hop input[name="chain.target"]').last.fill(name)
    page.get_by_role("button", name="Save and publish").click()
    expect(page.get_by_role("heading", name="fb-search")).to_be_visible()


def test_a_first_rule_is_made_by_mouse_and_is_in_force(sender, open_page):
    sender.policy()
    page = open_page(address(sender))
    expect(page.locator(".pol-grid")).to_contain_text("No rules yet")

    page.get_by_role("link", name="Retry Try again").click()
    page.get_by_label("Name", exact=True).fill("rt-search")
    page.get_by_role("button", name="condition", exact=True).click()
    page.get_by_label("Value").fill("search.web")
    page.get_by_label("Max attempts").fill("5")
    page.get_by_placeholder("Why?").fill("it often works the fourth time")
    page.get_by_role("button", name="Save and publish").click()

    expect(page.locator("#toasts")).to_contain_text("rt-search is saved")
    expect(page.locator('.rule[aria-current="true"]')).to_contain_text(
        "5\u00a0attempts"
    )
    (rule,) = sender.policy()["rules"]
    assert rule["max_attempts"] == 5
    assert rule["selector"] == {"target": "search.web"}
    page.get_by_role("link", name="History").click()
    expect(page.locator("tbody tr").first).to_contain_text("the fourth time")


def test_a_rule_is_made_by_keyboard_alone(sender, open_page):
    page = open_page(address(sender))

    page.keyboard.press("n")
    expect(page).to_have_url(re.compile("/policy/new/"))
    page.get_by_role("link", name="Timeout").focus()
    page.keyboard.press("Enter")
    name = page.get_by_label("Name", exact=True)
    expect(name).to_be_focused()
    page.keyboard.type("to-all")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="to-all")).to_be_visible()


def test_what_is_wrong_is_said_at_the_field_which_has_the_focus(sender, open_page):
    page = open_page(address(sender, "new/retry/"), expected="status of 400")
    page.get_by_label("Name", exact=True).fill("rt")
    page.get_by_label("Max attempts").fill("99")

    with page.expect_response(re.compile("/policy/new/")) as answer:
        page.get_by_role("button", name="Save and publish").click()

    assert answer.value.status == 400
    field = page.get_by_label("Max attempts")
    expect(field).to_be_focused()
    expect(field).to_have_value("99")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#ef-max_attempts")).to_contain_text("10")


def test_the_chain_is_ordered_by_buttons_and_the_order_is_what_services_get(
    sender, open_page
):
    page = open_page(address(sender))
    make_chain(page, sender, "tool:a", "tool:b", "tool:c")

    page.get_by_role("button", name="Move tool:c up").click()
    assert targets(page) == ["tool:a", "tool:c", "tool:b"]
    expect(page.locator("[data-said]").last).to_have_text("tool:c is now 2 of 3")
    page.get_by_role("button", name="Remove tool:a").click()
    page.get_by_role("button", name="Save and publish").click()

    expect(page.locator("#toasts")).to_contain_text("fb-search is saved")
    assert targets(page) == ["tool:c", "tool:b"]
    (rule,) = sender.policy()["rules"]
    assert [hop["target"] for hop in rule["chain"]] == ["tool:c", "tool:b"]


def test_the_chain_is_ordered_by_keyboard_and_keeps_the_focus(sender, open_page):
    page = open_page(address(sender))
    make_chain(page, sender, "tool:a", "tool:b")
    last = page.locator('.hop input[name="chain.target"]').last

    last.focus()
    page.keyboard.press("Alt+ArrowUp")

    assert targets(page) == ["tool:b", "tool:a"]
    first = page.locator('.hop input[name="chain.target"]').first
    expect(first).to_be_focused()
    page.keyboard.press("Alt+ArrowUp")
    assert targets(page) == ["tool:b", "tool:a"]


def test_the_chain_is_ordered_by_dragging_a_grip(sender, open_page):
    page = open_page(address(sender))
    make_chain(page, sender, "tool:a", "tool:b", "tool:c")
    grips = page.locator("[data-grip]")

    grips.nth(2).drag_to(page.locator(".hop").first, target_position={"x": 60, "y": 4})

    assert targets(page) == ["tool:c", "tool:a", "tool:b"]


def test_a_draft_collects_edits_and_is_published_as_one(sender, open_page):
    sender.policy()
    page = open_page(address(sender))
    make_chain(page, sender, "tool:a")

    page.get_by_placeholder("What is it for?").fill("calmer search")
    page.get_by_role("button", name="Open a draft").click()
    page.get_by_role("link", name="fb-search").click()
    page.get_by_role("button", name="Add target").click()
    page.locator('.hop input[name="chain.target"]').last.fill("tool:b")
    page.get_by_role("button", name="Save to the draft").click()

    bar = page.get_by_role("region", name="Publish")
    expect(bar).to_contain_text("1\u00a0change")
    expect(page.get_by_role("region", name="Draft")).to_contain_text("then tool:b")
    expect(page.locator(".nav [data-drafted]")).to_have_text("1")
    assert len(sender.policy()["rules"][0]["chain"]) == 1

    bar.get_by_placeholder("Why?").fill("search.a is slow")
    bar.get_by_role("button", name="Publish").click()

    expect(page.locator("#toasts")).to_contain_text("Draft published")
    expect(bar).to_have_count(0)
    assert len(sender.policy()["rules"][0]["chain"]) == 2
    latest = page.get_by_role("region", name="Latest versions")
    expect(latest).to_contain_text("search.a is slow")


def test_a_version_is_rolled_back_to_with_a_reason(sender, open_page):
    sender.policy()
    page = open_page(address(sender))
    make_chain(page, sender, "tool:a")

    page.get_by_role("button", name="Roll back to v1").click()
    dialog = page.get_by_role("dialog", name="Roll back to v1?")
    expect(dialog).to_contain_text("publishes a new version")
    dialog.get_by_label("Reason").fill("not yet")
    dialog.get_by_role("button", name="Roll back").click()

    expect(page.locator("#toasts")).to_contain_text("Rolled back to v1")
    expect(foot(page)).to_contain_text("v3")
    assert sender.policy()["rules"] == []


def test_an_acknowledgement_arrives_by_itself(sender, open_page):
    first = sender.policy()
    sender.says("sa-1", first)
    sender.says("sa-2", first)
    page = open_page(address(sender))
    expect(foot(page)).to_contain_text("2 of 2 applied")
    make_chain(page, sender, "tool:a")
    second = sender.policy()
    assert second["version"] == first["version"] + 1
    expect(foot(page)).to_contain_text("0 of 2 applied")
    page.evaluate("window.stayed = true")

    sender.says("sa-1", second)
    expect(foot(page)).to_contain_text("1 of 2 applied", timeout=PUSHED_MS)
    rollout = page.get_by_role("region", name="Rollout")
    expect(rollout).to_contain_text("1 of 2 on v2", timeout=PUSHED_MS)

    sender.says("sa-2", second)
    expect(foot(page)).to_contain_text("2 of 2 applied", timeout=PUSHED_MS)
    expect(page.locator("#toasts")).to_contain_text("v2 is in force on 2 of 2")
    assert page.evaluate("window.stayed")


def test_a_rejection_arrives_by_itself_and_says_why(sender, open_page):
    first = sender.policy()
    sender.says("gw-1", first)
    page = open_page(address(sender))
    make_chain(page, sender, "tool:a")
    second = sender.policy()
    failed = {
        "version": second["version"],
        "rule": "fb-search",
        "pointer": "/chain/0",
        "error": "this client knows no chains",
    }

    sender.says(
        "gw-1",
        second,
        state="REJECTED",
        running_version=first["version"],
        failed=failed,
    )

    rollout = page.get_by_role("region", name="Rollout")
    expect(rollout).to_contain_text("gw-1 keeps running v1.", timeout=PUSHED_MS)
    expect(rollout).to_contain_text("this client knows no chains")
    expect(rollout).to_contain_text("rule fb-search /chain/0")


def test_the_instances_page_moves_as_instances_speak(sender, open_page):
    snapshot = sender.policy()
    page = open_page(f"/instances/?project={sender.project}")
    expect(page.locator(".main")).to_contain_text("No instance of default yet")

    sender.says("sa-1", snapshot)

    row = page.locator("tr", has_text="sa-1")
    expect(row).to_contain_text("applied", timeout=PUSHED_MS)
    expect(row).to_contain_text("tests 1.0")
    expect(row.locator("time")).to_contain_text("s ago")


def test_rules_are_filtered_and_walked_by_keyboard(sender, open_page):
    page = open_page(address(sender))
    make_chain(page, sender, "tool:a")
    page.goto(sender.server.base + address(sender, "new/timeout/"))
    page.get_by_label("Name", exact=True).fill("to-crm")
    page.get_by_role("button", name="Save and publish").click()
    expect(page.get_by_role("heading", name="to-crm")).to_be_visible()

    page.keyboard.press("]")
    expect(page.get_by_role("heading", name="fb-search")).to_be_visible()
    page.keyboard.press("f")
    page.keyboard.type("crm")

    expect(page.locator(".rule", has_text="to-crm")).to_be_visible()
    expect(page.locator(".rule", has_text="fb-search")).to_be_hidden()
    expect(page.locator("[data-filtered]")).to_have_text("1 of 2\u00a0rules")


def test_a_kill_switch_gets_its_end_by_a_click(sender, open_page):
    page = open_page(address(sender, "new/kill_switch/"))
    page.get_by_label("Name", exact=True).fill("ks-refunds")

    page.get_by_role("button", name="in 30 min").click()
    page.get_by_role("button", name="Save and publish").click()

    rule = page.locator(".rule", has_text="ks-refunds")
    expect(rule).to_contain_text(re.compile(r"ends \d\d:\d\d"))


def test_names_that_were_called_are_offered_for_the_chain(sender, open_page):
    sender.send(tool_span("search.lite"))
    page = open_page(address(sender, "new/fallback/"))

    page.get_by_role("button", name="Add target").click()

    offered = page.locator("#targets option")
    expect(offered).to_have_count(1)
    expect(offered).to_have_attribute("value", "tool:search.lite")


def test_a_published_version_is_marked_on_the_charts(sender, open_page):
    sender.policy()
    sender.send(*(tool_span("search.web") for _ in range(3)))
    page = open_page(f"/live/?project={sender.project}&range=15m")
    expect(page.locator("[data-board]")).to_be_visible()
    make_chain(page, sender, "tool:a")
    page.goto(sender.server.base + f"/live/?project={sender.project}&range=15m")

    mark = page.locator('[data-chart="outcomes"] .annotation-text')
    expect(mark).to_have_text("v1, v2")
    box = mark.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    expect(page.locator('[data-chart="outcomes"] .hovertext')).to_contain_text("v2 by")
    page.mouse.click(*middle)

    expect(page).to_have_url(re.compile("/policy/versions/2/"))


@pytest.mark.parametrize(
    ("width", "theme"),
    [(1920, "light"), (1440, "dark"), (1024, "light"), (390, "dark")],
)
def test_no_policy_page_scrolls_sideways(sender, open_page, theme, width):
    snapshot = sender.policy()
    sender.says("i" * 60, snapshot)
    page = open_page(address(sender), width=width, height=844, theme=theme)
    make_chain(page, sender, f"tool:{'t' * 60}")

    for path in (
        address(sender),
        address(sender, "rules/fb-search/"),
        address(sender, "new/"),
        address(sender, "new/circuit_breaker/"),
        address(sender, "versions/"),
        address(sender, "versions/2/"),
        address(sender, "explain/", "&service=x&target=y"),
        f"/instances/?project={sender.project}",
    ):
        page.goto(sender.server.base + path)
        expect(page.locator("h1")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == width, path
