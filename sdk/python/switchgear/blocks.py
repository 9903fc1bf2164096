"""A call that is written down as a block of a task.

async with client.acall("search") as call:        ends with the block
call = await client.acall("search")               ends with ``call.close()``
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self

from switchgear.call import Call
from switchgear.course import bounded


class AsyncCall(Call):
    """One call; in a block, its attempt is ended when its time is over."""

    _bound: AbstractAsyncContextManager[object]

    async def __aenter__(self) -> Self:
        self.__enter__()
        self._bound = bounded(self.timeout_s)
        await self._bound.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        raised = error
        try:
            await self._bound.__aexit__(kind, error, trace)
        except TimeoutError as late:
            raised = late
            raise
        finally:
            self.close(raised)

    def __await__(self) -> Generator[Any, Any, Self]:
        return self._entered().__await__()

    async def _entered(self) -> Self:
        # Not entered: nothing says where it would be left.
        self.begin()
        return self
