"""Calls of tools and models under the rules of a control plane.

    from switchgear import Client

    client = Client()

    @client.tool("search", fallback=cached_search)
    def search(query: str) -> str: ...

Everything a service needs is named here; ``switchgear.testing`` is for its tests. Names
are imported when they are first used: the control plane itself takes only
``switchgear.policy`` from this package, and never runs a client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from switchgear.call import Call, current_call
    from switchgear.client import Client
    from switchgear.policy.vocabulary import FailureClass, RefusalReason
    from switchgear.refused import Refused
    from switchgear.version import __version__

__all__ = [
    "Call",
    "Client",
    "FailureClass",
    "RefusalReason",
    "Refused",
    "__version__",
    "current_call",
]
_HOMES = {
    "Call": "call",
    "Client": "client",
    "FailureClass": "policy.vocabulary",
    "RefusalReason": "policy.vocabulary",
    "Refused": "refused",
    "__version__": "version",
    "current_call": "call",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
