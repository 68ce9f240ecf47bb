"""Small changes of one row, inside of the transaction that makes their version."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Table, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.catalogue_content import NotInCatalogueError
from gateway.storage.tables import channels

__all__ = ["Work", "deleting", "require", "require_channel", "row_of", "updating"]

Work = Callable[[AsyncConnection], Awaitable[bool]]
"""A change; it answers whether it changed anything."""


async def row_of(connection: AsyncConnection, table: Table, identity: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The row of this identity, or None."""
    found = (await connection.execute(select(table).where(*_is(table, identity)))).mappings().one_or_none()
    return None if found is None else dict(found)


async def require(
    connection: AsyncConnection, table: Table, identity: Mapping[str, Any], what: str
) -> Mapping[str, Any]:
    """The row of this identity. Raises NotInCatalogueError of `what`."""
    row = await row_of(connection, table, identity)
    if row is None:
        raise NotInCatalogueError(what)
    return row


async def require_channel(connection: AsyncConnection, merchant_id: UUID, code: str) -> None:
    """Raises NotInCatalogueError where a merchant has no such channel."""
    await require(connection, channels, {"merchant_id": merchant_id, "code": code}, "channel")


def updating(table: Table, identity: Mapping[str, Any], values: Mapping[str, Any], what: str) -> Work:
    """Give a row these values, unless it has them."""

    async def work(connection: AsyncConnection) -> bool:
        row = await require(connection, table, identity, what)
        if all(row[name] == value for name, value in values.items()):
            return False
        await connection.execute(update(table).where(*_is(table, identity)).values(**values))
        return True

    return work


def deleting(table: Table, identity: Mapping[str, Any], what: str) -> Work:
    """Delete a row."""

    async def work(connection: AsyncConnection) -> bool:
        await require(connection, table, identity, what)
        await connection.execute(delete(table).where(*_is(table, identity)))
        return True

    return work


def _is(table: Table, identity: Mapping[str, Any]) -> list[Any]:
    return [table.c[name] == value for name, value in identity.items()]
