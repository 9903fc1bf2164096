"""The client: what a service imports, and how its parts are put together."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from random import getrandbits
from time import monotonic
from types import TracebackType
from typing import Any, Self, TypedDict, TypeVar, Unpack, cast
from uuid import uuid4

from switchgear import settings
from switchgear.blocks import AsyncCall
from switchgear.cache import Cache
from switchgear.call import Call
from switchgear.classify import Classifier
from switchgear.clock import Clock
from switchgear.core import Core
from switchgear.delivery import Delivery
from switchgear.governor import Governor
from switchgear.guarded import Registry, StandIn, free, name_of
from switchgear.keeper import Keeper
from switchgear.policy.facts import CallFacts
from switchgear.policy.vocabulary import Kind
from switchgear.runs import Run, Scope, scope
from switchgear.targets import Target, place_of
from switchgear.telemetry import Telemetry
from switchgear.transport import Plane
from switchgear.trouble import Trouble
from switchgear.version import __version__

F = TypeVar("F", bound=Callable[..., Any])
_NANO = 1_000_000_000
_clients: weakref.WeakSet[Client] = weakref.WeakSet()


class Options(TypedDict, total=False):
    """What the code says of a target."""

    fallback: StandIn | Iterable[StandIn]
    named_by: str | None
    provider: str | None
    server: str | None
    idempotent: bool
    classify: Classifier | None


class Subject(TypedDict, total=False):
    """What the code says of one call; what it leaves out comes from its run.

    ``tokens`` and ``cost_usd`` are estimates: budgets hold them until ``call.used``.
    """

    kind: str
    tenant: str | None
    user: str | None
    agent: str | None
    provider: str | None
    server: str | None
    tokens: int
    cost_usd: float | None
    deadline_s: float | None


class Client:
    """Guards calls by the rules of a control plane, with it or without it.

    One per process is enough; it is made before its functions are, and may be shared
    by threads and tasks. What is not given is taken from ``SWITCHGEAR_ENDPOINT``,
    ``SWITCHGEAR_API_KEY``, ``SWITCHGEAR_ENVIRONMENT``, ``SWITCHGEAR_CACHE_DIR`` and
    from what OpenTelemetry was told of the service.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        api_key: str | None = None,
        service: str | None = None,
        *,
        environment: str | None = None,
        instance: str | None = None,
        cache_dir: str | Path | None = None,
        classify: Classifier | None = None,
    ) -> None:
        self._settings = settings.read(
            os.environ,
            endpoint=endpoint,
            api_key=api_key,
            service=service,
            environment=environment,
            cache_dir=cache_dir,
        )
        self._instance, self._classify = instance, classify
        trouble, clock = Trouble(), Clock()
        self._core = Core(
            service=self._settings.service,
            environment=self._settings.environment,
            governor=Governor(clock, trouble),
            telemetry=Telemetry(__version__, trouble),
            clock=clock,
            trouble=trouble,
        )
        self._registry = Registry(self._core)
        self._delivery: Delivery | None = None
        self._goodbye: weakref.finalize[..., Client] | None = None
        self._connect(self._instance or uuid4().hex)
        _clients.add(self)

    def guard(
        self, kind: str, name: str | None = None, **options: Unpack[Options]
    ) -> Callable[[F], F]:
        """Guard a function that calls a target of any kind; see ``tool``, ``model``."""
        named_by = options.get("named_by")

        def decorate(function: F) -> F:
            target = Target(
                kind=Kind(kind),
                name=name or name_of(function),
                function=function,
                provider=options.get("provider"),
                server=options.get("server"),
                idempotent=options.get("idempotent", False),
                classifier=options.get("classify", self._classify),
                named_by=named_by,
                place=place_of(function, named_by) if named_by else 0,
            )
            guarded = self._registry.guard(target, options.get("fallback", ()))
            return cast("F", guarded)

        return decorate

    def tool(
        self, name: str | None = None, **options: Unpack[Options]
    ) -> Callable[[F], F]:
        """Guard a tool: ``@client.tool("search", fallback=cached_search)``.

        ``fallback`` is a function, the name of a target, or several of these: they are
        asked in their order, with the same arguments, unless a rule says otherwise.
        Only an ``idempotent`` tool is tried again.
        """
        return self.guard(Kind.TOOL, name, **options)

    def model(
        self, name: str | None = None, **options: Unpack[Options]
    ) -> Callable[[F], F]:
        """Guard a function that asks a model.

        Where one of its parameters names the model, ``named_by`` says which: rules
        then see the model that is asked for, and another can stand in for it.
        """
        return self.guard(Kind.MODEL, name, **options)

    def call(self, target: str, **subject: Unpack[Subject]) -> Call:
        """One call as a block: ``with client.call("search", tenant="acme") as call:``.

        It is attempted once. Where the rules do not allow it, it raises ``Refused``.
        """
        facts = self._facts(target, subject)
        return Call(self._core, facts, classifier=self._classify)

    def acall(self, target: str, **subject: Unpack[Subject]) -> AsyncCall:
        """The same for tasks: ``async with client.acall("search") as call:``."""
        facts = self._facts(target, subject)
        return AsyncCall(self._core, facts, classifier=self._classify)

    def run(
        self,
        run: str | None = None,
        *,
        tenant: str | None = None,
        user: str | None = None,
        agent: str | None = None,
        deadline_s: float | None = None,
    ) -> Run:
        """A block whose calls share one run budget, and what is said here of them.

        A block inside a run is a part of it, unless it names a run of its own; what it
        does not say is as it is around it.
        """
        around = scope.get()
        own = None if deadline_s is None else self._core.clock.now() + deadline_s
        deadlines = [each for each in (own, around.deadline) if each is not None]
        inside = Scope(
            run=run or around.run or f"{getrandbits(64):016x}",
            tenant=tenant or around.tenant,
            user=user or around.user,
            agent=agent or around.agent,
            deadline=min(deadlines, default=None),
        )
        return Run(self._core.governor, inside, begins=inside.run != around.run)

    @property
    def policy_version(self) -> int | None:
        """The version of the policy that runs; ``None``: there are no rules."""
        return self._core.governor.version

    def wait_until_ready(self, timeout_s: float = 5.0) -> bool:
        """Wait for the control plane's word; calls need not, they are made without."""
        return self._delivery is not None and self._delivery.heard.wait(timeout_s)

    def close(self) -> None:
        """Listen to the control plane no more; calls go on under the last policy."""
        if self._goodbye is not None:
            self._goodbye()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _facts(self, target: str, subject: Subject) -> CallFacts:
        where, core = scope.get(), self._core
        cost_usd, deadline_s = subject.get("cost_usd"), subject.get("deadline_s")
        kind = Kind(subject.get("kind", Kind.TOOL))
        return CallFacts(
            kind=kind.value,
            target=target,
            service=core.service,
            environment=core.environment,
            tenant=subject.get("tenant", where.tenant),
            user=subject.get("user", where.user),
            agent=subject.get("agent", where.agent),
            provider=subject.get("provider"),
            server=subject.get("server"),
            tokens=subject.get("tokens", 0),
            cost_nano=free(kind) if cost_usd is None else round(cost_usd * _NANO),
            deadline=where.deadline
            if deadline_s is None
            else core.clock.now() + deadline_s,
            run=where.run,
        )

    def _connect(self, instance: str) -> None:
        """Run what ran last time, and begin to listen."""
        said, core = self._settings, self._core
        if not said.endpoint:
            return
        asked = {"service": said.service, "environment": said.environment}
        try:
            plane = Plane(said.endpoint, said.api_key, {**asked, "instance": instance})
        except ValueError as error:
            core.trouble.say("endpoint", f"{error}; calls go on without rules")
            return
        cache = None
        if said.cache_dir:
            cache = Cache(said.cache_dir, endpoint=said.endpoint, **asked)
        keeper = Keeper(
            core.governor, cache, trouble=core.trouble, timing=monotonic, **asked
        )
        keeper.boot()
        self._delivery = Delivery(
            keeper,
            plane,
            instance={
                **asked,
                "instance_uid": instance,
                "boot_id": uuid4().hex,
                "sdk": f"switchgear-python/{__version__}",
            },
            clock=core.clock,
            trouble=core.trouble,
            chores=core.tidy,
        )
        # Also when the client is dropped, and when the interpreter ends.
        self._goodbye = weakref.finalize(self, self._delivery.close)
        self._delivery.start()

    def _forked(self) -> None:
        """In a child process: a service of its own, once it makes its first call."""
        core, self._delivery = self._core, None
        if self._goodbye is not None:
            self._goodbye.detach()
        core.left.clear()
        core.governor.forked()
        named = self._instance and f"{self._instance}-{os.getpid()}"
        core.left.append(partial(self._connect, named or uuid4().hex))


def _forked() -> None:
    for client in _clients:
        client._forked()  # noqa: SLF001  both are this module's


# Where there is no fork there is nothing to be told of.
getattr(os, "register_at_fork", dict)(after_in_child=_forked)
