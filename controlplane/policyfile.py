"""The rules of a project as one file: for review, for Git, for another place.

JSON with one field per line and rules in the order of their ids, so that line-based
tools show what an edit changed. The file is the whole: importing it removes rules that
are not in it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from controlplane import rulebook
from controlplane.actions import PolicyRefused
from controlplane.models import Project
from switchgear.policy.documents import canonical
from switchgear.policy.documents.snapshot import API_VERSION
from switchgear.policy.errors import PolicyError

FIELDS = ("api_version", "rules")


def exported(project: Project) -> str:
    rules = [view.document() for view in rulebook.rules_in(project)]
    document = {"api_version": API_VERSION, "rules": rules}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def read(text: bytes) -> Sequence[object]:
    """The documents of rules in a file; ``PolicyRefused`` when it is no such file."""
    try:
        document = canonical.loads(text)
    except PolicyError as error:
        raise PolicyRefused(error.pointer, error.message) from error
    if not isinstance(document, dict) or set(document) - set(FIELDS):
        raise PolicyRefused("", f"must be an object of {' and '.join(FIELDS)}")
    if document.get("api_version") != API_VERSION:
        raise PolicyRefused("/api_version", f"must be {API_VERSION}")
    rules = document.get("rules")
    if not isinstance(rules, list):
        raise PolicyRefused("/rules", "must be a list of rules")
    return rules
