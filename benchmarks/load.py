"""`python -m benchmarks.load`: the load generator, a process of its own: task on stdin, result on stdout.

Raw keep-alive connections on uvloop: an HTTP client library would cost as much CPU as the gateway.
"""

import asyncio
import random
import sys
from array import array
from collections import Counter
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final, cast

import orjson
import psutil  # type: ignore[import-untyped]
import uvloop

from benchmarks.orders import Orders
from benchmarks.wire import content_length

__all__ = ["Task"]

LAST_ANSWERS_WITHIN_S: Final = 30.0
STEADY_CONNECTIONS: Final = 64
"""Enough that at a steady rate a request never waits for a connection."""
MAX_COMPLAINTS: Final = 5
HEAD_END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Task:
    """What to do. With `rate` requests come by chance, so many per second; else each connection is always busy."""

    run: str
    host: str
    port: int
    api_key: str = field(repr=False)
    concurrency: int
    warm_up_s: float
    seconds: float
    first_user: int
    users: int
    watched: dict[str, list[int]]
    """Processes whose CPU is measured, by program; their children too."""
    rate: float | None = None


class Tally:
    """What came back."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.sent = self.amount = 0
        self.statuses: Counter[str] = Counter()
        self.complaints: list[str] = []
        self.is_measuring = False
        self.is_over = False
        self.latencies_s = array("d")
        self.by_number: dict[str, float] = {}
        """PSP order number → latency, where a rate was asked for."""

    def next_request(self) -> bytes:
        number = self.sent
        self.sent += 1
        self.amount += self.orders.amount(number)
        return self.orders.request(number)

    def take(self, head: bytes, body: bytes, seconds: float, *, by_number: bool) -> None:
        status = head[9:12].decode("latin-1")
        self.statuses[status] += 1
        if status != "201" and len(self.complaints) < MAX_COMPLAINTS:
            self.complaints.append(f"{status}: {body[:300].decode(errors='replace')}")
        if not self.is_measuring:
            return
        self.latencies_s.append(seconds)
        if by_number and status == "201":
            self.by_number[orjson.loads(body)["channel_order_no"]] = seconds


class Connection(asyncio.Protocol):
    """One connection, one request at a time; closed loop unless it `is_steady`."""

    def __init__(self, tally: Tally, *, is_steady: bool) -> None:
        self._tally, self._is_steady = tally, is_steady
        self._unread = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None
        self.is_busy = False
        self.is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has it all, and is none by its class

    def connection_lost(self, exc: Exception | None) -> None:
        if self.is_busy:
            self._tally.statuses["lost"] += 1
            self._tally.complaints.append(f"the connection was lost: {exc!r}")
        self.is_busy, self.is_lost = False, True

    def send(self) -> None:
        assert self._transport is not None
        self.is_busy = True
        request = self._tally.next_request()
        self._sent_at = perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        end = self._unread.find(HEAD_END)
        if end < 0:
            return
        head = self._unread[:end]
        whole = end + len(HEAD_END) + content_length(head)
        if len(self._unread) < whole:
            return
        seconds = perf_counter() - self._sent_at
        body, self._unread = self._unread[end + len(HEAD_END) : whole], self._unread[whole:]
        self.is_busy = False
        self._tally.take(head, body, seconds, by_number=self._is_steady)
        if not self._is_steady and not self._tally.is_over and not self.is_lost:
            self.send()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def cpu_seconds(watched: dict[str, list[int]]) -> dict[str, float]:
    """CPU so far of each program, with the children that live and those that ended."""
    totals = {}
    for name, pids in watched.items():
        totals[name] = 0.0
        for pid in pids:
            process = psutil.Process(pid)
            for part in [process, *process.children(recursive=True)]:
                times = part.cpu_times()
                totals[name] += times.user + times.system
            ended = process.cpu_times()
            totals[name] += ended.children_user + ended.children_system
    return totals


async def carry_out(task: Task) -> dict[str, Any]:
    """Put the load on, and tell what came of it."""
    loop = asyncio.get_running_loop()
    tally = Tally(Orders(task.run, f"{task.host}:{task.port}", task.api_key, task.first_user, task.users))
    is_steady = task.rate is not None
    connections = []
    for _ in range(STEADY_CONNECTIONS if is_steady else task.concurrency):
        _, connection = await loop.create_connection(
            lambda: Connection(tally, is_steady=is_steady), task.host, task.port
        )
        connections.append(connection)
    steady = asyncio.create_task(_keep_rate(task, tally, connections)) if is_steady else None
    if steady is None:
        for connection in connections:
            connection.send()
    await asyncio.sleep(task.warm_up_s)
    watched = {**task.watched, "load generator": [psutil.Process().pid]}
    before, started = cpu_seconds(watched), perf_counter()
    tally.is_measuring = True
    await asyncio.sleep(task.seconds)
    tally.is_measuring, tally.is_over = is_steady, True  # at a steady rate, what was begun still counts
    seconds, after = perf_counter() - started, cpu_seconds(watched)
    if steady is not None:
        await steady
    give_up_at = perf_counter() + LAST_ANSWERS_WITHIN_S
    while any(c.is_busy for c in connections) and perf_counter() < give_up_at:  # noqa: ASYNC110 -- a last look at the end
        await asyncio.sleep(0.01)
    unanswered = sum(c.is_busy for c in connections)
    for connection in connections:
        connection.is_busy = False
        connection.close()
    return {
        "sent": tally.sent,
        "amount": tally.amount,
        "unanswered": unanswered,
        "statuses": tally.statuses,
        "complaints": tally.complaints[:MAX_COMPLAINTS],
        "seconds": seconds,
        "latencies_ms": [1000 * s for s in tally.latencies_s],
        "by_number_ms": {number: 1000 * s for number, s in tally.by_number.items()},
        "cpu_s": {name: after[name] - before[name] for name in before},
    }


async def _keep_rate(task: Task, tally: Tally, connections: list[Connection]) -> None:
    """Arrivals by chance (Poisson), whatever the answers do: a fixed rhythm could hide or invent waiting."""
    assert task.rate is not None
    dice = random.Random(1)  # the same arrivals in every run
    due = perf_counter()
    while not tally.is_over:
        due += dice.expovariate(task.rate)
        await asyncio.sleep(max(0.0, due - perf_counter()))
        free = next((c for c in connections if not c.is_busy and not c.is_lost), None)
        if free is None:
            tally.complaints.append("more requests at once than connections: the rate is too high for this machine")
            return
        free.send()


def main() -> None:
    """Read the task, carry it out, write the result."""
    task = Task(**orjson.loads(sys.stdin.buffer.read()))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(carry_out(task))
    sys.stdout.buffer.write(orjson.dumps(result))


if __name__ == "__main__":
    main()
