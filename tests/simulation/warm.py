"""What the stem learns once, for all gateways that are forked from it: nothing of it changes while tests run.

A gateway that learns it anew spends nearly all of its start on that: how PostgreSQL's types are made, how SQLAlchemy
writes the catalogue's statements, what stands in the catalogue, whether keys are keys. Of what a play changes nothing
is kept. It halves what a play costs.
"""

from copy import copy
from types import SimpleNamespace
from typing import Any, ClassVar, Final
from uuid import UUID

import httpx
from asyncpg.connection import Connection

from gateway.domain.catalogue import Catalogue
from gateway.run import wiring
from gateway.run.providers import AdapterProviders
from gateway.storage.catalogue.store import CatalogueStore
from tests.known_keys import check_each_private_key_once

__all__ = ["KnownCatalogue", "keep_what_is_learnt", "serve_only", "served"]

_NAMED: Final = SimpleNamespace(name="asked before")
"""In place of the statement that asked: nothing was prepared."""


def keep_what_is_learnt() -> None:
    """Have this process, and all that are forked from it, learn such things once. It stays so to its end."""
    check_each_private_key_once()
    _keep_types()
    _keep_engines()
    _keep_adapters()
    _keep_the_order_key()


def serve_only(merchant_id: str, version: int) -> None:
    """Have the gateway of this process serve this merchant alone, as if there were no other in its catalogue.

    Workers ask about all merchants at once, and to plan that takes as long as a play. `version`: of the catalogue.
    """
    _served[:] = [(UUID(merchant_id), version)]


_served: Final[list[tuple[UUID, int]]] = []


def _keep_types() -> None:
    """The types of PostgreSQL, which asyncpg asks for on every new connection: all arrays at once, when first asked."""
    known: dict[int, list[Any]] = {}
    patched: Any = Connection
    real = patched._introspect_types

    async def introspect(self: Any, oids: Any, timeout: Any) -> Any:
        if known.keys() >= set(oids):
            return [row for oid in oids for row in known[oid]], _NAMED
        rows, asking = await real(self, tuple(_ARRAYS | set(oids)), timeout)
        by_oid = {row["oid"]: row for row in rows}
        for row in rows:
            of_it = by_oid.get(row["elemtype"])
            known[row["oid"]] = [row] if of_it is None else [of_it, row]
        return rows, asking

    patched._introspect_types = introspect


_ARRAYS: Final = {199, 1000, 1001, 1005, 1007, 1009, 1015, 1016, 1022, 1182, 1185, 1231, 2951, 3807}
"""Of the types that tables have, by the numbers that PostgreSQL gives them for ever (pg_type.dat)."""


def _keep_engines() -> None:
    """Engines without connections: what they know of the server, and the statements that they have written."""
    known: dict[Any, Any] = {}
    real = vars(wiring)["create_engine"]

    def create_engine(url: str, pool_size: int, **more: Any) -> Any:
        key = url, pool_size, tuple(more.items())
        if key not in known:
            known[key] = real(url, pool_size, **more)
        return known[key]

    vars(wiring)["create_engine"] = create_engine


class KnownCatalogue(CatalogueStore):
    """The catalogue of each version is read once. A gateway is told which is in force, and looks for no other."""

    _known: ClassVar[dict[int, Catalogue]] = {}

    async def load(self) -> Catalogue:
        [(merchant_id, version)] = _served
        if version not in self._known:
            self._known[version] = await super().load()
        served = copy(self._known[version])
        served.merchants = {merchant_id: served.merchants[merchant_id]}
        return served

    async def version(self) -> int:
        return _served[0][1]

    @classmethod
    def known(cls, version: int) -> Catalogue:
        """One that was read."""
        return cls._known[version]


def served() -> Catalogue:
    """The catalogue of the gateway of this process."""
    return KnownCatalogue.known(_served[0][1])


def _keep_adapters() -> None:
    """Adapters, which have no memory but their keys; each gateway has a wire of its own."""
    built: dict[Any, Any] = {}
    carries: dict[Any, Any] = {}
    wire: list[Any] = [None]

    async def transport(request: httpx.Request) -> httpx.Response:
        response: httpx.Response = await wire[0](request)
        return response

    class KnownProviders(AdapterProviders):
        def __init__(self, sending: Any, *more: Any) -> None:
            wire[0] = sending
            super().__init__(transport, *more)
            self._built, self._carries = built, carries

        def take(self, catalogue: Catalogue) -> None:
            """Those of all merchants: the gateway that rehearses builds them for all that come after it."""
            super().take(served())

    vars(wiring)["AdapterProviders"] = KnownProviders


def _keep_the_order_key() -> None:
    """That it is the right one."""
    real = vars(wiring)["require_order_key"]
    known: list[Any] = []

    async def require(engine: Any, keys: Any) -> None:
        if keys.order not in known:
            await real(engine, keys)
            known.append(keys.order)

    vars(wiring)["require_order_key"] = require
