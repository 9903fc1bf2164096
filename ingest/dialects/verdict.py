"""How a span went: whether it failed, why, and what it says about it."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from ingest.dialects import failures
from ingest.dialects.categories import EXCEPTION_IS_FAILURE_SCOPES
from ingest.dialects.events import Told
from ingest.dialects.facts import Facts
from ingest.dialects.readers import document
from ingest.records import Category
from switchgear.policy.vocabulary import FailureClass, RefusalReason

MESSAGE_LIMIT = 300
_STATUS_ERROR = 2
_OF_A_TOOL = "Tool '"
_CLASS_IN_TEXT = re.compile(
    r"^([A-Za-z_][\w.]{0,80}(?:Error|Exception|Timeout))(?:\(|: )"
)
_RETRY_REASON = re.compile(r"([A-Za-z_][\w.]*)\(")
_FAILURE_CLASSES = {member.value: member for member in FailureClass}
_REFUSAL_REASONS = {member.value: member for member in RefusalReason}
_REFINED = frozenset(general for general, _, _ in failures.REFINEMENTS)
_CLIENT_ERRORS, _SERVER_ERRORS, _CODES_END = 400, 500, 600


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """``failure_class`` is set when failed; a refusal is nobody's failure."""

    failed: bool = False
    failure_class: FailureClass | None = None
    message: str | None = None
    refusal: RefusalReason | None = None


FINE = Verdict()


def may_tell(result: str | None) -> bool:
    """Whether a tool's answer is worth reading: it may say that it failed."""
    return result is not None and (
        # One letter is looked for in a tenth of the time of a word.
        ("E" in result and "isError" in result)
        or ("j" in result and "jsonrpc" in result)
        or result.startswith(_OF_A_TOOL)
    )


def judge(
    category: Category, facts: Facts, status: Any, told: Told, scope: str
) -> Verdict:
    """The verdict over a span that may have failed."""
    result_class = _result(facts) if category is Category.TOOL else None
    refusal = _refusal(facts, told)
    if not (
        refusal
        or result_class
        or status.code == _STATUS_ERROR
        or _says_failed(category, facts)
        or (told.exception_type and scope in EXCEPTION_IS_FAILURE_SCOPES)
    ):
        return FINE
    if refusal:
        failure: FailureClass = FailureClass.REFUSED
    else:
        failure = _failure(category, facts, status, told, result_class)
    return Verdict(
        failed=True,
        failure_class=failure,
        message=_message(facts, status, told),
        refusal=refusal,
    )


def _says_failed(category: Category, facts: Facts) -> bool:
    if facts.error_type is not None or facts.own_class is not None:
        return True
    if facts.told_failed or facts.level == "ERROR":
        return True
    if (facts.told_status or "").lower() in failures.FAILED_WORDS:
        return True
    if facts.rpc_code is not None and facts.rpc_code not in failures.RPC_SUCCESS:
        return True
    return category is Category.HTTP and (facts.status_code or 0) >= _CLIENT_ERRORS


def _refusal(facts: Facts, told: Told) -> RefusalReason | None:
    said = _REFUSAL_REASONS.get(facts.refusal or "")
    if said:
        return said
    for name in (told.exception_type, facts.error_type):
        if name and (reason := failures.REFUSALS.get(_last_segment(name))):
            return reason
    return None


def _result(facts: Facts) -> FailureClass | None:
    """What a tool's own answer says; one that merely mentions errors says nothing."""
    result = facts.result
    if not result:
        return None
    if failures.TIMEOUT_RESULT.match(result):
        return FailureClass.TIMEOUT
    answer = document(result) if may_tell(result) else None
    if not isinstance(answer, dict):
        return None
    if answer.get("isError") is True:
        return FailureClass.TOOL_ERROR
    error = answer.get("error")
    if isinstance(error, dict) and "jsonrpc" in answer:
        code = str(error.get("code"))
        return failures.RPC_CODES.get(code, FailureClass.TOOL_ERROR)
    return None


def _failure(
    category: Category,
    facts: Facts,
    status: Any,
    told: Told,
    result_class: FailureClass | None,
) -> FailureClass:
    if found := _told_class(facts):
        return found
    names = _type_names(facts, told)
    found = _by_type(names)
    if found and found not in _REFINED:
        return found
    said = _account(facts, status, told)
    lowered = said.lower()
    if found is None:
        found = _by_type(_names_in(said)) or _by_code(facts, names, lowered)
    if found is None:
        found = result_class or _by_text(lowered)
    if found is None:
        specific = any(name not in failures.GENERIC_TYPES for name in names)
        tool = category is Category.TOOL
        return FailureClass.TOOL_ERROR if specific and tool else FailureClass.UNKNOWN
    for general, rule, precise in failures.REFINEMENTS:
        if found is general and rule.search(lowered):
            return precise
    return found


def _told_class(facts: Facts) -> FailureClass | None:
    """The class in so many words."""
    if (facts.failure_stage or "").startswith("validation"):
        return FailureClass.INVALID_REQUEST
    if (facts.told_status or "").lower() == failures.REVOKED:
        return FailureClass.CANCELLED
    return _FAILURE_CLASSES.get(facts.own_class or "")


def _account(facts: Facts, status: Any, told: Told) -> str:
    """All that is said about the failure."""
    said = told.exception_message, status.message[:2000], facts.error_message
    return " ".join(filter(None, said))


def _type_names(facts: Facts, told: Told) -> list[str]:
    names = [told.exception_type, facts.error_type]
    if reason := facts.retry_reason:
        names += _RETRY_REASON.findall(reason)[:1]
    return [_last_segment(name) for name in names if name]


def _names_in(said: str) -> list[str]:
    return [_last_segment(name) for name in _CLASS_IN_TEXT.findall(said)]


def _by_text(said: str) -> FailureClass | None:
    for hint, rule, found in failures.TEXTS:
        if hint in said and (rule is None or rule.search(said)):
            return found
    return None


def _last_segment(name: str) -> str:
    return name.removeprefix("<class '").removesuffix("'>").rpartition(".")[2].lower()


def _by_type(names: list[str]) -> FailureClass | None:
    return next(
        (failures.TYPES[name] for name in names if name in failures.TYPES), None
    )


def _by_code(facts: Facts, names: list[str], said: str) -> FailureClass | None:
    rpc = facts.rpc_code
    for code in (rpc, *names):
        if code in failures.RPC_CODES and (code == rpc or code.startswith("-")):
            return failures.RPC_CODES[code]
    codes = [facts.status_code, *(int(n) for n in names if n.isdecimal())]
    hinted = any(hint in said for hint in failures.CODE_HINTS)
    if hinted and (match := failures.CODE_IN_TEXT.search(said)):
        codes.append(int(next(filter(None, match.groups()))))
    for number in codes:
        if number and (found := _status_class(number)):
            return found
    return None


def _status_class(code: int) -> FailureClass | None:
    if code in failures.STATUS_CODES:
        return failures.STATUS_CODES[code]
    if _CLIENT_ERRORS <= code < _SERVER_ERRORS:
        return FailureClass.TOOL_ERROR
    return FailureClass.SERVER_ERROR if _SERVER_ERRORS <= code < _CODES_END else None


def _message(facts: Facts, status: Any, told: Told) -> str | None:
    """The first line of the best account there is."""
    for said in (
        told.exception_message,
        facts.error_message,
        status.message,
        facts.retry_reason,
        facts.result,
    ):
        if said and (line := said.lstrip().partition("\n")[0][:MESSAGE_LIMIT].rstrip()):
            return str(line).replace("\0", "\ufffd")
    return None
