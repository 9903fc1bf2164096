"""Which rules decide about a call, and why the others do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from controlplane.compiling import snapshot_of
from controlplane.models import PolicyVersion
from controlplane.scope import Scope
from dashboards.policy import words
from dashboards.policy.kinds import KINDS
from dashboards.shell import Context, page, shell
from switchgear.policy.explain import Explanation, Judged, Verdict, explain
from switchgear.policy.facts import CallFacts
from switchgear.policy.rules.selectors import Target
from switchgear.policy.vocabulary import Kind

LONGEST = 400
OTHERS = ("tenant", "user", "agent", "model", "provider", "server")


class Asked(NamedTuple):
    """One fact of the call, as a form asks for it."""

    name: str
    value: str
    example: str = ""
    choices: tuple[str, ...] = ()


EXAMPLES = {
    "service": "checkout-agent",
    "kind": "",
    "target": "search.web",
    "tenant": "acme",
    "model": "gpt-4o-mini",
    "provider": "openai",
    "agent": "support",
}


@require_GET
@page
def explain_page(request: HttpRequest, scope: Scope) -> HttpResponse:
    context = shell(request, scope, current="policy")
    given = {name: request.GET.get(name, "")[:LONGEST] for name in EXAMPLES}
    context |= {"asked": asked(given), "explained": None, "draft": None}
    if given["service"] or given["target"]:
        context["explained"] = explained(context, given)
    return render(request, "policy/explain.html", context)


def asked(given: Mapping[str, str]) -> list[Asked]:
    kinds = tuple(kind.value for kind in Kind)
    return [
        Asked(name, given[name], example, kinds if name == "kind" else ())
        for name, example in EXAMPLES.items()
    ]


def facts_of(given: Mapping[str, str], environment: str) -> CallFacts:
    """The call that is asked about; what is not said is not known of it."""
    target = Target.parse(given.get("target") or "")
    kind = target.kind or given.get("kind") or Kind.TOOL
    known = {fact: given.get(fact) or None for fact in OTHERS}
    return CallFacts(
        kind=str(kind),
        target=target.name,
        service=given.get("service") or "",
        environment=environment,
        tenant=known["tenant"],
        user=known["user"],
        agent=known["agent"],
        model=known["model"],
        provider=known["provider"],
        server=known["server"],
    )


def explanation(
    project_id: int, environment: str, facts: CallFacts
) -> Explanation | None:
    """Under the version in force; None before there is one."""
    versions = PolicyVersion.objects.of_environment(project_id, environment)
    latest = versions.first()
    if latest is None:
        return None
    return explain(snapshot_of(latest), facts, timezone.now().timestamp())


def explained(context: Context, given: Mapping[str, str]) -> Context:
    environment = context["environment"]
    facts = facts_of(given, environment)
    found = explanation(context["scope"].project_id, environment, facts)
    kinds = found.kinds if found else ()
    by_kind = {one.kind: (*one.winners, *one.losers) for one in kinds}
    service = facts.service or "any service"
    return {
        "title": f"{service} calls {facts.kind} {facts.target or 'anything'}",
        "version": found.version if found else 0,
        "kinds": [
            {
                "name": kind.name,
                "icon": kind.icon,
                "rules": [judged(one, context["here"]) for one in by_kind.get(key, ())],
            }
            for key, kind in KINDS.items()
        ],
    }


def judged(one: Judged, here: str) -> dict[str, Any]:
    return words.listed(one.rule) | {
        "url": f"{reverse('policy-rule', args=[one.rule.id])}?{here}",
        "decides": one.verdict is Verdict.APPLIES,
        "reason": one.reason,
    }
