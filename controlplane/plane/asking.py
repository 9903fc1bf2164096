"""What a request asks for, read strictly; what is wrong is said with a JSON pointer.

Unknown fields and parameters are ignored: services of later SDKs may send more.
"""

from __future__ import annotations

import re
from typing import Annotated, NoReturn
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta, Struct

from controlplane.acks import Name, Report, ShortName
from controlplane.plane.problems import Problem

LONGEST_WAIT_S = 60.0
LONGEST_QUERY_BYTES = 4096
MOST_PARAMETERS = 20


class Asked(Struct, frozen=True):
    """Whose policy; the parameters of both GETs."""

    service: Name
    environment: ShortName = "default"
    instance: Name | None = None
    wait: Annotated[float, Meta(ge=0, le=LONGEST_WAIT_S)] = 0.0


_decoder = msgspec.json.Decoder(Report)


def asked(query: bytes) -> Asked:
    """The parameters, as if they were an object."""
    if len(query) > LONGEST_QUERY_BYTES:
        text = f"A query is at most {LONGEST_QUERY_BYTES} bytes long."
        raise Problem(414, "query_too_long", text)
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_PARAMETERS,
        )
    except ValueError as error:
        text = "The query is not UTF-8 in percent-encoding, or has too many parameters."
        raise Problem(400, "malformed", text) from error
    given = dict(pairs)
    if len(given) < len(pairs):
        raise Problem(400, "malformed", "A parameter is given more than once.")
    try:
        return msgspec.convert(given, Asked, strict=False)
    except msgspec.ValidationError as error:
        _refuse(error)


def report(body: bytes) -> Report:
    try:
        found = _decoder.decode(body)
    except msgspec.ValidationError as error:
        _refuse(error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        text = "The body is not a JSON object that can be read."
        raise Problem(400, "malformed", text) from error
    if found.state == "REJECTED" and not (found.failed or found.received_version):
        text = "REJECTED needs `failed`, or the `received_version` that was rejected."
        raise Problem(400, "invalid_field", text, pointer="/failed")
    return found


def _refuse(error: msgspec.ValidationError) -> NoReturn:
    text, _, path = str(error).partition(" - at `$")
    if missing := re.search(r"missing required field `(\w+)`", text):
        path += f".{missing[1]}"
        text = f"`{missing[1]}` is required"
    if " matching regex" in text:
        text = text.partition(" matching regex")[0] + " of the form the protocol gives"
    pointer = re.sub(r"[.\[]", "/", re.sub(r"[\]`]", "", path))
    raise Problem(400, "invalid_field", f"{text}.", pointer=pointer) from error
