"""The live page as people use it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import tool_span

pytestmark = pytest.mark.needs("chromium")


def calls_of(page, tool):
    return page.locator("tr", has_text=tool).locator(".rate")


def shown(page):
    """Wait for the board and give its page back."""
    expect(page.locator("[data-board]")).to_be_visible()
    return page


def status(page):
    return page.locator("[data-status]")


def test_an_empty_board_says_how_to_fill_it_and_fills_by_itself(sender, open_page):
    page = open_page(sender.page())
    waiting = page.locator('[data-empty="no-spans"]')
    expect(waiting).to_contain_text(
        f'OTEL_EXPORTER_OTLP_ENDPOINT="{sender.server.base}"'
    )
    page.evaluate("window.stayed = true")

    sender.send(tool_span("search.web"))

    expect(waiting).to_be_hidden()
    expect(calls_of(page, "search.web")).to_have_attribute("title", "1\u00a0call")
    assert page.evaluate("window.stayed")


def test_numbers_move_without_a_reload(sender, open_page):
    sender.send(tool_span("moving"))
    page = shown(open_page(sender.page()))
    expect(calls_of(page, "moving")).to_have_attribute("title", "1\u00a0call")
    page.evaluate("window.stayed = true")

    sender.send(*(tool_span("moving", failed=True) for _ in range(3)))

    expect(calls_of(page, "moving")).to_have_attribute("title", "4\u00a0calls")
    row = page.locator("tr", has_text="moving")
    expect(row.locator('[data-f="errors"]')).to_have_text("75.0\u00a0%")
    expect(status(page)).to_contain_text("no gap since")
    assert page.evaluate("window.stayed")


def test_pause_holds_the_picture_and_resume_catches_up(sender, open_page):
    sender.send(tool_span("paused"))
    page = shown(open_page(sender.page()))
    rate = calls_of(page, "paused")
    expect(rate).to_have_attribute("title", "1\u00a0call")

    page.keyboard.press(".")
    expect(status(page)).to_contain_text("paused at")
    sender.send(tool_span("paused"))
    expect(page.locator('[data-act="pause"]')).to_contain_text("waiting")
    expect(rate).to_have_attribute("title", "1\u00a0call")

    page.keyboard.press(".")
    expect(rate).to_have_attribute("title", "2\u00a0calls")
    expect(page.locator("#toasts")).to_contain_text("none missing")


def test_a_lost_connection_is_said_and_comes_back(sender, open_page):
    sender.send(tool_span("lost"))
    page = open_page("/login/")
    sockets = []

    def through(route):
        route.connect_to_server()
        sockets.append(route)

    page.route_web_socket(re.compile("/ws/live/"), through)
    page.goto(sender.server.base + sender.page())
    shown(page)

    sockets[0].close()
    expect(page.locator(".live")).to_have_attribute("data-state", "lost")
    expect(status(page)).to_contain_text("connection lost, last data")

    expect(page.locator(".live")).to_have_attribute("data-state", "live")
    sender.send(tool_span("lost"))
    expect(calls_of(page, "lost")).to_have_attribute("title", "2\u00a0calls")


def test_a_filter_is_chosen_by_keyboard_and_stands_in_the_address(sender, open_page):
    sender.send(tool_span("filtered", tenant="borealis"), tool_span("filtered"))
    page = shown(open_page(sender.page()))
    expect(calls_of(page, "filtered")).to_have_attribute("title", "2\u00a0calls")

    page.keyboard.press("f")
    choice = page.locator("#m-tenant").get_by_role("button", name="borealis")
    expect(choice).to_be_visible()
    for _ in range(9):
        if choice.evaluate("node => node === document.activeElement"):
            break
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile("tenant=borealis"))
    expect(calls_of(page, "filtered")).to_have_attribute("title", "1\u00a0call")
    page.reload()
    expect(calls_of(page, "filtered")).to_have_attribute("title", "1\u00a0call")


def test_what_a_filter_hides_is_told_and_shown_again(sender, open_page):
    sender.send(tool_span("hidden"))
    page = open_page(sender.page("&tenant=nobody"))
    box = page.locator('[data-empty="filtered"]')
    expect(box).to_contain_text("in this time without the filter")

    box.get_by_role("button", name="Clear filter").click()

    expect(calls_of(shown(page), "hidden")).to_be_visible()
    expect(page).not_to_have_url(re.compile("tenant"))


def test_a_fixed_time_is_not_live_and_back_is_live_again(sender, open_page):
    sender.send(tool_span("fixed"))
    page = shown(open_page(sender.page()))

    chart = page.locator('[data-chart="outcomes"]').bounding_box()
    page.mouse.move(chart["x"] + 200, chart["y"] + 90)
    page.mouse.down()
    page.mouse.move(chart["x"] + 400, chart["y"] + 90, steps=4)
    page.mouse.up()

    expect(page).to_have_url(re.compile(r"from=\d+&to=\d+"))
    expect(status(page)).to_have_text("fixed time, not live")
    expect(page.locator('[data-empty="outside"]')).to_contain_text("ago")
    page.go_back()
    expect(status(page)).to_contain_text("updated")
    expect(calls_of(page, "fixed")).to_be_visible()


def test_a_range_is_chosen_by_keyboard(sender, open_page):
    sender.send(tool_span("ranged"))
    page = shown(open_page(sender.page()))

    page.keyboard.press("r")
    expect(page.locator('[data-range="1h"]')).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile("range=15m"))
    expect(page.locator("[data-steps]")).to_contain_text("10\u00a0s steps")
    expect(calls_of(page, "ranged")).to_be_visible()


def test_the_board_shows_tools_models_and_tenants(sender, open_page):
    sender.send(tool_span("grouped", tenant="umbra"))
    page = shown(open_page(sender.page()))

    page.get_by_role("button", name="Tenants").click()
    expect(calls_of(page, "umbra")).to_be_visible()
    expect(page).to_have_url(re.compile("tab=tenants"))
    page.locator("tr", has_text="umbra").locator("a.ent").click()
    expect(page).to_have_url(re.compile("tenant=umbra"))


def test_the_palette_finds_a_tool(sender, open_page):
    sender.send(tool_span("needle.in_haystack"))
    page = shown(open_page(sender.page()))

    page.keyboard.press("/")
    page.keyboard.type("needle")
    expect(page.locator("#palette-list")).to_contain_text("needle.in_haystack")
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile(r"tool=needle\.in_haystack"))


def test_the_theme_is_kept_and_rendered_by_the_server(sender, open_page):
    page = open_page(sender.page())
    page.keyboard.press("t")
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")

    answer = page.reload()

    assert '<html lang="en" data-theme="dark">' in answer.text()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(13, 16, 20)"
    )


def test_times_can_be_shown_in_utc(sender, open_page):
    sender.send(tool_span("utc"))
    page = shown(open_page(sender.page()))
    tick = page.locator('[data-chart="outcomes"] .xtick text').last
    expect(tick).to_be_visible()
    local = tick.text_content()

    page.locator('[popovertarget="m-range"]').click()
    page.get_by_role("button", name="Times in UTC").click()

    expect(tick).not_to_have_text(local)
    hours = [int(text[:2]) for text in (local, tick.text_content())]
    assert (hours[0] - hours[1]) % 24 in (1, 2)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1920, 1440, 1024, 390])
def test_nothing_scrolls_sideways(sender, open_page, theme, width):
    sender.send(tool_span("a" * 60), tool_span("wide", tenant="t" * 80))
    page = shown(open_page(sender.page(), width=width, height=844, theme=theme))
    expect(calls_of(page, "wide")).to_be_visible()

    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_stranger_is_asked_to_log_in(server, browser):
    page = browser.new_page()

    page.goto(server.base + "/live/?range=6h")

    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert "next=" in page.url
    page.close()


def test_logging_out_ends_the_session(server, browser):
    page = browser.new_page()
    page.goto(server.manage("login_link"))
    page.get_by_role("button", name="Log in").click()

    page.locator('[popovertarget="m-person"]').click()
    page.get_by_role("button", name="Log out").click()

    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.goto(server.base + "/live/")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.close()
