"""A process that stores exports until it is killed, and says which were answered.

Run by ``test_crash`` with a data folder of its own; the first number to send is the
argument. One line on standard output per answered export.
"""

from __future__ import annotations

import asyncio
import sys

import django

django.setup()

from ingest.records import Category, Span, Usage  # noqa: E402
from ingest.writer import Writer  # noqa: E402
from tests.ingest.telemetry import batch, span  # noqa: E402

PROJECT = 7
AT_ONCE = 8


def export(number: int) -> list[Span]:
    """Trace ``n`` gets its tool now and its root, with the answer, one export later."""
    answer = (number // 3).to_bytes(16, "big")
    return [
        span(1, trace=number, parent=2, failed=number % 4 == 0),
        span(3, trace=number, parent=2, end_ns=0),
        span(2, trace=number - 1, category=Category.AGENT, name="planner"),
        span(3, trace=number - 1, parent=2),
        span(
            4,
            trace=number - 1,
            parent=2,
            category=Category.MODEL,
            name="gpt-5",
            response_id=answer,
            usage=Usage(input=number, output=1, cost=number),
        ),
    ]


async def send(writer: Writer, numbers: list[int]) -> None:
    while True:
        number = numbers[0]
        numbers[0] += 1
        await writer.submit(batch(PROJECT, export(number)))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


async def main(first: int) -> None:
    writer = Writer(announce=lambda _projects: None)
    numbers = [first]
    await asyncio.gather(*[send(writer, numbers) for _ in range(AT_ONCE)])


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
