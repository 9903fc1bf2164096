"""What may come in and how: JSON of a bounded size and depth, text that can be stored.

A body is read up to its limit and no further, whatever its headers claim.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from rest_framework.parsers import BaseParser

from dashboards.api.problems import Invalid, Problem

MOST_BYTES = 256 * 1024


class BoundedJSON(BaseParser):
    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = stream.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            detail = f"A body may be {MOST_BYTES} bytes long."
            raise Problem(413, "body_too_large", detail)
        try:
            found = json.loads(body, parse_constant=_refuse)
            # What JSON can escape and UTF-8 cannot write: half a surrogate pair.
            json.dumps(found, ensure_ascii=False).encode()
        except RecursionError:
            raise Invalid(("malformed", "The JSON is nested too deeply.", "")) from None
        except ValueError as error:
            raise Invalid(("malformed", f"This is no JSON: {error}", "")) from error
        return found


def _refuse(constant: str) -> NoReturn:
    msg = f"{constant} is not JSON"
    raise ValueError(msg)
