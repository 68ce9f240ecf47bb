"""What a gateway does to the outside, numbered; at a chosen number its process is gone.

An *outside action* is a transaction that writes (its COMMIT), a statement of its own that writes, a request to a PSP, a
notification, or the answer to a call that changes something. Between two of them a process changes nothing but its own
memory, so to die before and after each of them is to die everywhere.

Death is `os._exit`: no `finally` runs, nothing is rolled back or closed by the program. The system closes its sockets,
and PostgreSQL ends what it had begun.
"""

import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, Final

import httpx
from aiohttp import web

from adapters.http import AiohttpTransport
from gateway.flows.notify import Reply
from gateway.ports import Command, command_name
from gateway.run.calls import ProviderCalls
from gateway.storage.catalogue.store import CatalogueStore
from gateway.storage.server.database import Database
from gateway.storage.tables import metadata
from gateway.workers.egress import Egress
from tests.simulation.warm import KnownCatalogue

__all__ = ["DIED", "Death", "Outside", "number_answers", "parts_of"]

Death = tuple[int | str, str]
"""At which action of a process, and whether "before" or "after" it: its number, or words: the first that is told so."""

DIED: Final = 9
"""The exit status of a process that died where it was told to."""
_WRITTEN: Final = re.compile(r"\b(?:INSERT INTO|(?<!FOR )(?<!KEY )(?<!DO )UPDATE|DELETE FROM)\s+(\w+)")
_OF_FLOWS: Final = metadata.tables.keys() - {"processes"}
"""Tables that flows write. That a process lives it says whenever it is time."""

_BROUGHT: Final = ("/callbacks/", "/c/", "/return/")
"""Calls that may change something, whatever their method: PSPs call back by GET, too."""

_command: ContextVar[str] = ContextVar("the command in hand", default="a request")


class Outside:
    """Numbers the actions from 1, and has the process die. `tell` hears of each before it is done."""

    def __init__(self, tell: Callable[[int, str], None], dies_at: Death | None) -> None:
        self._tell = tell
        self._at, self._side = dies_at or (0, "")
        self._counting = False
        self._done = 0

    def count(self, counting: bool) -> None:
        """Number what comes from now on, or no more: what was before is preparation, and what comes after is for us."""
        self._counting = counting

    def begin(self, what: str) -> int:
        """An action is about to be done: its number, 0 if it is not counted."""
        if not self._counting:
            return 0
        self._done += 1
        self._tell(self._done, what)
        if self._at in (self._done, what):
            self._at = self._done
            self._die_if(self._done, "before")
        return self._done

    def end(self, number: int) -> None:
        """An action was done, and what came of it is known to nobody in this process yet."""
        self._die_if(number, "after")

    def _die_if(self, number: int, side: str) -> None:
        if number and (number, side) == (self._at, self._side):
            os._exit(DIED)


def parts_of(outside: Outside) -> dict[str, Any]:
    """The parts of a gateway that touch the outside, by their names in `gateway.run.wiring`."""

    class NumberedDatabase(Database):
        """The hot path's database. What only reads is not numbered."""

        @asynccontextmanager
        async def connection(self) -> AsyncIterator[Any]:
            async with super().connection() as connection:
                yield _Statements(connection, outside)

        @asynccontextmanager
        async def transaction(self) -> AsyncIterator[Any]:
            number = 0
            async with super().transaction() as statements:
                statements.written = []
                yield statements
                if statements.written:
                    number = outside.begin(f"COMMIT of {', '.join(dict.fromkeys(statements.written))}")
            outside.end(number)

    class NumberedTransport(AiohttpTransport):
        """The wire to PSPs."""

        async def __call__(self, request: httpx.Request) -> httpx.Response:
            number = outside.begin(f"{_command.get()} is sent")
            try:
                return await super().__call__(request)
            finally:
                outside.end(number)

    class NamedCalls(ProviderCalls):
        """Tells the wire which command it carries."""

        async def __call__(
            self, merchant_id: Any, channel: str, account: str, command: Command[Any], *more: Any
        ) -> Any:
            token = _command.set(f"{command_name(type(command))} to {account}")
            try:
                return await super().__call__(merchant_id, channel, account, command, *more)
            finally:
                _command.reset(token)

    class NumberedEgress(Egress):
        """The way out to endpoints."""

        async def send(self, url: str, headers: Mapping[str, str], body: bytes, *, allow_private: bool) -> Reply:
            number = outside.begin("a notification is sent")
            reply = await super().send(url, headers, body, allow_private=allow_private)
            outside.end(number)
            return reply

    def catalogue(*values: Any, **more: Any) -> CatalogueStore:
        """The catalogue: where gateways write into it by themselves."""
        store = KnownCatalogue(*values, **more)
        real = store.refuse_silent

        async def refuse_silent(*values: Any, **more: Any) -> int:
            number = outside.begin("a statement writes silent_refusals")
            version: int = await real(*values, **more)
            outside.end(number)
            return version

        vars(store)["refuse_silent"] = refuse_silent
        return store

    return {
        "CatalogueStore": catalogue,
        "Database": NumberedDatabase,
        "AiohttpTransport": NumberedTransport,
        "ProviderCalls": NamedCalls,
        "Egress": NumberedEgress,
    }


def number_answers(app: web.Application, outside: Outside) -> None:
    """Number the answers to calls that change something. After one is to die before the next action."""

    async def prepared(request: web.Request, response: web.StreamResponse) -> None:
        resource = request.match_info.route.resource
        path = request.path if resource is None else resource.canonical
        if request.method != "GET" or path.startswith(_BROUGHT):
            outside.begin(f"answer {response.status} to {request.method} {path}")

    app.on_response_prepare.append(prepared)


class _Statements:
    """A connection whose statements are known by what they write; in a transaction, its COMMIT is the action."""

    def __init__(self, connection: Any, outside: Outside) -> None:
        self._connection, self._outside = connection, outside
        self.written: list[str] | None = None
        """The tables, in a transaction."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def execute(self, sql: str, *values: Any, **more: Any) -> Any:
        return await self._do(sql, self._connection.execute(sql, *values, **more))

    async def fetch(self, sql: str, *values: Any, **more: Any) -> Any:
        return await self._do(sql, self._connection.fetch(sql, *values, **more))

    async def fetchrow(self, sql: str, *values: Any, **more: Any) -> Any:
        return await self._do(sql, self._connection.fetchrow(sql, *values, **more))

    async def fetchval(self, sql: str, *values: Any, **more: Any) -> Any:
        return await self._do(sql, self._connection.fetchval(sql, *values, **more))

    async def _do(self, sql: str, work: Awaitable[Any]) -> Any:
        tables = [table for table in _WRITTEN.findall(sql) if table in _OF_FLOWS]
        if self.written is not None:
            self.written += tables
            return await work
        if not tables:
            return await work
        number = self._outside.begin(f"a statement writes {', '.join(dict.fromkeys(tables))}")
        told = await work
        self._outside.end(number)
        return told
