"""The service plane over HTTP: what it answers ends soon, as a value or an error."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import suppress

import pytest

from switchgear import transport
from switchgear.transport import MAX_BODY, UNREACHABLE, Plane, Unwilling
from tests.sdk.plane import digest_in, snapshot_body

V1 = snapshot_body(1)


@pytest.fixture
def asking(plane):
    return Plane(plane.endpoint, "key-1", {"service": "shop", "environment": "default"})


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(transport, "_TIMEOUT_S", 0.2)
    monkeypatch.setattr(transport, "_ANSWER_S", 0.3)
    monkeypatch.setattr(transport, "SILENCE_S", 0.2)


def test_a_snapshot_is_fetched_once(plane, asking):
    plane.body = V1

    fetched = asking.fetch(())

    assert (fetched.body, fetched.digest) == (V1, digest_in(V1))
    assert asking.fetch((fetched.digest,)) is None


def test_requests_say_who_asks_for_what(plane, asking):
    asking.fetch(("sha256:a", "sha256:b"))

    (method, path, headers) = plane.requests[-1]
    assert (method, path) == ("GET", "/v1/policy?service=shop&environment=default")
    assert headers["Authorization"] == "Bearer key-1"
    assert headers["If-None-Match"] == '"sha256:a", "sha256:b"'


def test_nothing_to_run_is_no_snapshot(plane, asking):
    assert asking.fetch(()) is None


def test_without_an_etag_a_snapshot_is_named_by_its_bytes(plane, asking):
    plane.misbehave = lambda handler, path: handler.reply(200, b"<html>")

    assert asking.fetch(()).digest.startswith("sha256:")


def test_a_report_is_answered(plane, asking):
    assert asking.report({"state": None}) == plane.beat
    assert plane.statuses == [{"state": None}]


@pytest.mark.parametrize("answer", [b"[]", b"7", b"null"])
def test_an_answer_to_a_report_that_says_nothing_is_nothing(plane, asking, answer):
    plane.misbehave = lambda handler, path: handler.reply(200, answer)

    assert asking.report({}) == {}


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("7", 7.0), ("-1", 0.0), ("nan", 0.0), ("1e9", 300.0), ("soon", 0.0)],
)
def test_an_unwilling_server_says_when_to_come_back(plane, asking, said, seconds):
    plane.misbehave = lambda handler, path: handler.reply(503, b"", Retry_After=said)

    for ask in (lambda: asking.fetch(()), lambda: asking.report({}), asking.stream):
        with pytest.raises(Unwilling, match="503") as raised:
            ask()
        assert raised.value.retry_after_s == seconds


@pytest.mark.parametrize("status", [301, 401, 403, 404, 500])
def test_any_other_answer_is_not_taken_for_a_policy(plane, asking, status):
    plane.misbehave = lambda handler, path: handler.reply(
        status, V1, Location="http://127.0.0.1:1/"
    )

    with pytest.raises(Unwilling, match=str(status)):
        asking.fetch(())


def test_events_and_comments_are_heard(plane, asking):
    stream = asking.stream()
    plane.wait_for(lambda: plane.streams)
    plane.tell(": hello\n\n")
    plane.hint(4, "sha256:x")
    plane.tell("event: policy\r\ndata: {garbage\r\n\r\n")
    plane.tell("event: policy\ndata: [1]\n\n")
    plane.tell("data: no name\n\nunknown: field\nevent: nodata\n\n")
    plane.tell('event: drain\ndata: {"reconnect_after_ms": [1, 2]}\n\n')
    hints = stream.hints()

    heard = [next(hints) for _ in range(5)]

    assert [hint.name for hint in heard] == ["", *["policy"] * 3, "drain"]
    assert [dict(hint.data) for hint in heard] == [
        {},
        {"version": 4, "digest": "sha256:x"},
        {},
        {},
        {"reconnect_after_ms": [1, 2]},
    ]
    plane.cut()
    assert next(hints, None) is None
    stream.close()


def test_an_ended_stream_is_no_more_hints(plane, asking):
    plane.misbehave = lambda handler, path: handler.reply(200, b": bye\n\n")
    stream = asking.stream()

    assert [hint.name for hint in stream.hints()] == [""]
    stream.close()


def test_an_endless_line_is_not_read_to_its_end(plane, asking):
    plane.misbehave = lambda handler, path: handler.reply(200, b"x" * 200_000)

    stream = asking.stream()
    with pytest.raises(ValueError, match="too long"):
        next(stream.hints())
    stream.close()


def test_a_silent_stream_is_given_up(plane, asking, quick):
    stream = asking.stream()

    with pytest.raises(TimeoutError):
        next(stream.hints())
    stream.close()


def test_a_body_without_end_is_cut(plane, asking):
    plane.misbehave = lambda handler, path: handler.reply(200, b"x" * (MAX_BODY + 99))

    assert len(asking.fetch(()).body) == MAX_BODY


def test_a_server_that_drips_is_given_up(plane, asking, quick):
    def drip(handler, path):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(30):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)

    plane.misbehave = drip

    with pytest.raises(TimeoutError, match="took longer"):
        asking.fetch(())


@pytest.fixture
def raw():
    """A server that answers bytes, whatever they are."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answers = []

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65_536)
                    for part in answers:
                        connection.sendall(part)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", answers
        listener.shutdown(socket.SHUT_RDWR)


GARBAGE = {
    "nothing": [],
    "no http": [b"SSH-2.0-OpenSSH_9.2\r\n"],
    "zeros": [bytes(5000)],
    "status": [b"HTTP/1.1 999999 OK\r\n\r\n"],
    "torn headers": [b"HTTP/1.1 200 OK\r\nContent-Le"],
    "many headers": [b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 5000],
    "torn body": [b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf"],
    "chunks": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc"],
}


@pytest.mark.parametrize("answers", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_is_an_error_or_no_policy(raw, answers, quick):
    endpoint, said = raw
    said.extend(answers)
    asking = Plane(endpoint, "", {"service": "shop"})

    for ask in (lambda: asking.fetch(()), lambda: asking.report({})):
        try:
            found = ask()
        except UNREACHABLE:
            continue
        assert found.body != V1


def test_nobody_there_is_an_error_at_once():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    with pytest.raises(ConnectionRefusedError):
        Plane(f"http://127.0.0.1:{port}", "", {}).fetch(())


@pytest.mark.parametrize("endpoint", ["ftp://x", "http://", "://", "http://x:y"])
def test_an_endpoint_that_is_none_is_told_at_once(endpoint):
    with pytest.raises(ValueError, match=r"endpoint|Port"):
        Plane(endpoint, "", {})


@pytest.mark.parametrize("endpoint", ["127.0.0.1:{}", "http://127.0.0.1:{}/"])
def test_endpoints_are_understood(plane, endpoint):
    plane.body = V1

    assert Plane(endpoint.format(plane.server_port), "", {}).fetch(()).body == V1


def test_a_prefix_goes_before_the_path(plane):
    Plane(f"{plane.endpoint}/switchgear/", "", {"a": "b"}).fetch(())

    assert plane.requests[-1][1] == "/switchgear/v1/policy?a=b"


def test_what_waits_can_be_interrupted(plane, asking):
    stream = asking.stream()
    ended = threading.Event()

    def listen():
        with suppress(UNREACHABLE):
            list(stream.hints())
        ended.set()

    thread = threading.Thread(target=listen)
    thread.start()
    asking.interrupt()

    assert ended.wait(5)
    thread.join()
    stream.close()
    asking.interrupt()


def test_a_secure_endpoint_is_asked_securely(plane):
    secure = Plane(plane.endpoint.replace("http:", "https:"), "", {})

    with pytest.raises(UNREACHABLE):
        secure.fetch(())


def test_reports_are_json(plane, asking):
    asking.report({"error": "bäd\x00"})

    assert plane.statuses == [json.loads('{"error": "b\\u00e4d\\u0000"}')]
