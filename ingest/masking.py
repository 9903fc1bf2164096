"""Secrets that are known by their shape, and hiding them in text.

All patterns run on RE2, so no text can make one slow. They read UTF-8 as bytes: what
they match begins and ends at ASCII, so no character is ever cut in two. A shape is
told by its prefix; what only a key name tells (``password=...``) is not one of them.
"""

from __future__ import annotations

from typing import NamedTuple

import re2


def _options(*, capturing: bool) -> re2.Options:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    options.never_capture = not capturing
    return options


# Where a token can begin: not inside a word, but after an escape in JSON or a URL.
_START = r"(?:^|[^A-Za-z0-9]|\\[bfnrt]|\\u[0-9A-Fa-f]{4}|%[0-9A-Fa-f]{2})"
_WORD = r"[A-Za-z0-9_-]"
_BEARER = r"[A-Za-z0-9._~+/=-]"
_QUOTE = r"[\"'\\]{0,4}"
_KEY = r"PRIVATE KEY(?: BLOCK)?-----"


# Where it can begin in serialised bytes: the byte before may be a length. Left open
# for all but ``sk-``, which else would be found in every ``task-`` and ``disk-``.
_NOT_IN_A_WORD = (
    r"(?:^|[^a-z]|[\x00-\x1f*:\x80-\xff\\][a-z]"
    r"|%[0-9A-Fa-f][a-f]|u[0-9A-Fa-f]{3}[a-f])"
)


class Shape(NamedTuple):
    """``lead`` and ``tail`` belong to the shape but stay readable."""

    name: str
    secret: str
    lead: str = _START
    tail: str = ""
    before: str = ""  # in serialised bytes, where there is no lead


SHAPES = (
    # OpenAI, Anthropic and all who copied their keys
    Shape("api_key", rf"sk-{_WORD}{{20,}}", before=_NOT_IN_A_WORD),
    Shape("api_key", r"(?:gsk_|hf_|npm_)[A-Za-z0-9]{30,}"),
    Shape("switchgear_key", rf"sg_[0-9a-f]{{8}}_{_WORD}{{30,}}"),
    Shape("aws_key", r"(?:AKIA|ASIA)[A-Z0-9]{16,}"),
    Shape("github_token", r"gh[oprsu]_[A-Za-z0-9]{20,}"),
    Shape("github_token", r"github_pat_[A-Za-z0-9_]{22,}"),
    Shape("gitlab_token", rf"glpat-{_WORD}{{16,}}"),
    Shape("slack_token", r"xox[abeoprs]-[A-Za-z0-9-]{10,}"),
    Shape("google_key", rf"AIza{_WORD}{{30,}}"),
    Shape("stripe_key", r"[rs]k_(?:live|test)_[A-Za-z0-9]{10,}"),
    Shape("jwt", rf"eyJ{_WORD}{{8,}}\.{_WORD}{{4,}}(?:\.{_WORD}*){{1,4}}"),
    Shape(
        "private_key",
        rf"-----BEGIN [A-Z0-9 ]{{0,40}}{_KEY}(?:[^-]|-[^-])*"
        rf"(?:-----END [A-Z0-9 ]{{0,40}}{_KEY})?",
        lead="(?:)",  # the next one may follow without a gap
    ),
    # A word after "bearer" is a token when it is long or has a digit in it
    Shape(
        "bearer_token",
        rf"(?:{_BEARER}{{20,}}|[A-Za-z._~+/=-]{{0,19}}[0-9]{_BEARER}{{7,}}"
        rf"|[A-Za-z._~+/=-]{{7,19}}[0-9]{_BEARER}*)",
        lead=r"(?i:bearer)(?:[ \t:]|%20){1,4}",
    ),
    Shape(
        "credentials",
        rf"{_BEARER}{{4,}}",
        lead=rf"(?i:authorization){_QUOTE}[ \t]{{0,4}}[:=][ \t]{{0,4}}{_QUOTE}"
        r"(?i:basic|token|apikey)[ \t]{1,4}",
    ),
    Shape(
        "url_password",
        r"[^\s/?#\"'<>\x00-\x1f]{1,256}",
        lead=r"://[^\s/?#:@\"'<>\[\]\x00-\x1f]{0,128}:",
        tail="@",
    ),
)


def _compiled(pattern: str, *, capturing: bool) -> re2._Regexp[bytes]:
    return re2.compile(pattern.encode("latin-1"), _options(capturing=capturing))


def _exact(shape: Shape) -> str:
    return f"({shape.lead}){shape.secret}({shape.tail})"


def _loose(shape: Shape) -> str:
    """Finds in serialised bytes all that ``mask`` would change, and a little more."""
    lead = shape.before if shape.lead is _START else shape.lead
    return lead + shape.secret + shape.tail


_ANY = _compiled("|".join(map(_exact, SHAPES)), capturing=False)
_EACH = tuple(
    (
        _compiled(_exact(shape), capturing=True),
        rb"\1[masked:" + shape.name.encode() + rb"]\2",
    )
    for shape in SHAPES
)


def compile_loose(*others: str) -> re2._Regexp[bytes]:
    """One pattern over serialised bytes for all shapes and what else is looked for."""
    pattern = "|".join((*map(_loose, SHAPES), *others))
    return _compiled(pattern, capturing=False)


def mask(text: bytes) -> bytes:
    """``text`` with every known shape replaced by its name."""
    while _ANY.search(text) is not None:
        masked = text
        for pattern, replacement in _EACH:
            masked = pattern.sub(replacement, masked)
        if masked == text:
            break  # all that is left is a masked password in its URL
        # Again: what hid in the word of a secret may now stand alone.
        text = masked
    return text
