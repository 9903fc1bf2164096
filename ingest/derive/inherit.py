"""For whom and inside what a span ran: what it says itself and what stands above it.

Tenant: the span (or its key), the nearest ancestor, the root, baggage copies, the
resource. Session: the root's, then the span's own, then the nearest ancestor's, because
nested agents carry fresh ids. An orphan inherits from the root of the trace.
"""

from __future__ import annotations

import msgspec

from ingest.records import Category, Span


class Context(msgspec.Struct, frozen=True, gc=False):
    """What holds for a span and, unless they say otherwise, for all below it."""

    tenant: str | None = None
    tenant_copy: str | None = None
    tenant_resource: str | None = None
    session: str | None = None
    root_session: str | None = None
    user: str | None = None
    agent: str | None = None
    run: int = -1  # index of the agent run it belongs to

    def any_tenant(self) -> str | None:
        return self.tenant or self.tenant_copy or self.tenant_resource


_NOWHERE = Context()


def contexts(spans: list[Span], parents: list[int]) -> list[Context]:
    root = _root_context(spans, parents)
    found: list[Context] = []
    for place, span in enumerate(spans):
        parent = parents[place]
        if parent >= 0:
            above = found[parent]
        elif span.parent_id:
            above = root
        else:
            above = Context(root_session=span.session)
        found.append(_context(span, place, above))
    return found


def _root_context(spans: list[Span], parents: list[int]) -> Context:
    for place, span in enumerate(spans):
        if parents[place] < 0 and not span.parent_id:
            return _context(span, place, Context(root_session=span.session))
    return _NOWHERE


def _context(span: Span, place: int, above: Context) -> Context:
    agent = span.agent
    run = above.run
    if span.category is Category.AGENT:
        agent = agent or span.name or None
        run = place
    elif (
        (span.tenant is None or span.tenant == above.tenant)
        and (span.session is None or span.session == above.session)
        and (span.user is None or span.user == above.user)
        and (agent is None or agent == above.agent)
        and (span.tenant_copy is None or span.tenant_copy == above.tenant_copy)
        and (
            span.tenant_resource is None
            or span.tenant_resource == above.tenant_resource
        )
    ):
        return above
    return Context(
        span.tenant or above.tenant,
        span.tenant_copy or above.tenant_copy,
        span.tenant_resource or above.tenant_resource,
        span.session or above.session,
        above.root_session,
        span.user or above.user,
        agent or above.agent,
        run,
    )
