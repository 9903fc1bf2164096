"""A real server in a process of its own, and a real browser that looks at it.

Run apart from the other tests (``pytest tests/browser``): Playwright keeps an event
loop in the main thread, which others may not find there.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

ROOT = Path(__file__).parents[2]
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
]
MAKE_PROJECTS = """
from controlplane import actions
for number in range(60):
    project = actions.create_project(f"p{number}", actor=None)
    key = actions.create_key(project, scopes=["ingest", "policy"], actor=None)
    print(project.slug, key.token)
"""
expect.set_options(timeout=15_000)


@dataclass
class Server:
    port: int
    login_link: str
    environment: dict[str, str]

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def manage(self, *words: str) -> str:
        run = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return run.stdout.strip()


@dataclass
class Sender:
    """A service of a project of its own, and the address of its live page."""

    server: Server
    project: str
    key: str

    def page(self, query: str = "") -> str:
        return f"/live/?project={self.project}{query}"

    def ask(self, method: str, path: str, body: object = None) -> dict:
        """What the client in a service asks of the service plane."""
        headers = {"content-type": "application/json", "x-api-key": self.key}
        wire = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        wire.request(method, path, body and json.dumps(body), headers)
        answer = wire.getresponse()
        said = json.loads(answer.read() or b"{}")
        wire.close()
        assert answer.status == 200, said
        return said

    def policy(self, service: str = "support-agent") -> dict:
        """The snapshot a service gets; its first question makes the first version."""
        return self.ask("GET", f"/v1/policy?service={service}")

    def says(self, uid: str, snapshot: dict, *, state: str = "APPLIED", **told) -> None:
        """What an instance reports of a snapshot it received."""
        version = snapshot["version"]
        running = {"running_version": version} if state == "APPLIED" else {}
        report = {
            "instance_uid": uid,
            "boot_id": "1",
            "service": snapshot["service"],
            "sdk": "tests 1.0",
            "state": state,
            "received_version": version,
            "digest": snapshot["digest"],
        }
        self.ask("POST", "/v1/policy/status", report | running | told)

    def send(self, *spans: dict) -> None:
        """Spans as an exporter sends them, in JSON."""
        resource = {"attributes": [attribute("service.name", "support-agent")]}
        scope = {"scope": {"name": "tests"}, "spans": list(spans)}
        body = {"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}
        headers = {"content-type": "application/json", "x-api-key": self.key}
        wire = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        wire.request("POST", "/v1/traces", json.dumps(body), headers)
        answer = wire.getresponse()
        said = json.loads(answer.read() or b"{}")
        wire.close()
        assert answer.status == 200
        assert not said.get("partialSuccess")


def attribute(key: str, value: str) -> dict:
    return {"key": key, "value": {"stringValue": value}}


def tool_span(name: str, *, tenant: str = "acme", failed: bool = False) -> dict:
    """One call of a tool that ended just now."""
    end = time.time_ns()
    return {
        "traceId": secrets.token_hex(16),
        "spanId": secrets.token_hex(8),
        "name": f"execute_tool {name}",
        "kind": 1,
        "startTimeUnixNano": str(end - 250_000_000),
        "endTimeUnixNano": str(end),
        "attributes": [
            attribute("gen_ai.operation.name", "execute_tool"),
            attribute("gen_ai.tool.name", name),
            attribute("tenant.id", tenant),
        ],
        "status": {"code": 2, "message": "upstream answered 503"} if failed else {},
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    port = free_port()
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "controlplane.settings",
        "SWITCHGEAR_DATA_DIR": str(tmp_path_factory.mktemp("data")),
        "SWITCHGEAR_PORT": str(port),
        "SWITCHGEAR_OTLP_PORT": "0",
        "SWITCHGEAR_GRPC_PORT": "0",
    }
    process = subprocess.Popen(
        [sys.executable, "manage.py", "up"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        said = ""
        while "OTEL_EXPORTER_OTLP_HEADERS" not in said:
            line = process.stdout.readline()
            assert line, f"the server ended: {said}"
            said += line
        link = re.search(r"http\S+/login/\S+", said)[0]
        yield Server(port=port, login_link=link, environment=environment)
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


@pytest.fixture(scope="session")
def senders(server):
    """Projects for all tests, made at once: each start of Django takes seconds."""
    made = server.manage("shell", "--no-imports", "--command", MAKE_PROJECTS)
    return [Sender(server, *line.split()) for line in made.splitlines()]


@pytest.fixture
def sender(senders):
    return senders.pop()


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def logged_in(server, browser):
    """What a browser keeps after the one-time link was used."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(server.login_link)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/live/**")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def open_page(server, browser, logged_in):
    """Opens pages of a logged-in member; whatever they complain about fails."""
    contexts, complaints = [], []

    def open_(path, *, width=1440, height=1000, theme="light", expected="nothing"):
        context = browser.new_context(
            storage_state=logged_in,
            viewport={"width": width, "height": height},
            color_scheme=theme,
            timezone_id="Europe/Berlin",
        )
        contexts.append(context)
        context.add_init_script(
            "addEventListener('securitypolicyviolation', (event) =>"
            " console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));"
        )
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: (
                said.type in {"error", "warning"}
                and expected not in said.text
                and complaints.append(said.text)
            ),
        )
        page.goto(server.base + path)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []
