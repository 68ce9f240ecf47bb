"""One data-modifying WITH: many rows of many tables in one round trip, each table's rows as one JSON parameter.

Names of tables and columns come from `tables`, never from a request; every value is in a parameter. The text of a
statement depends only on which parts it has, not on how many rows, so PostgreSQL prepares each form once. An array for
each column cost the gateway twice as much CPU: asyncpg looks at every element.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql

from gateway.storage.server.database import Connection

Row = dict[str, Any]

_dialect = postgresql.dialect()  # type: ignore[no-untyped-call]


@cache
def sql_type(table: Table, column: str) -> str:
    """A column's type as PostgreSQL writes it."""
    return table.c[column].type.compile(_dialect)


class Write:
    """The parts of one statement, in the order they were added. All rows are of one merchant."""

    def __init__(self, merchant_id: UUID) -> None:
        self._values: list[Any] = [merchant_id]
        self._parts: list[str] = []

    def insert(
        self,
        table: Table,
        rows: Sequence[Row],
        *,
        part: str | None = None,
        only: tuple[str, str] | None = None,
        summed: Sequence[str] = (),
        conflict: str = "",
        returning: str = "",
    ) -> None:
        """Insert rows (all with the same keys).

        `only` = (part, column): just those whose column that part returned; it need not be one of the table's.
        `summed`: rows that are alike but for these columns become one, with their sums.
        """
        if not rows:
            return
        names = [name for name in rows[0] if name in table.c]
        join = f"JOIN {only[0]} USING ({only[1]})" if only else ""
        values = [f"sum(v.{n})::{sql_type(table, n)}" if n in summed else f"v.{n}" for n in names]
        keys = ", ".join(f"v.{name}" for name in names if name not in summed)
        group = f"GROUP BY {keys} ORDER BY {keys}" if summed else ""
        # Inserted in the order they were given: where rows conflict with others', that is the order of the locks.
        self._parts.append(
            f"{part or f'new_{table.name}'} AS ("
            f"INSERT INTO {table.name} (merchant_id, {', '.join(names)}) "
            f"SELECT $1::uuid, {', '.join(values)} "
            f"FROM {self._source(table, rows)} {join} {group} {conflict} {returning})"
        )

    def update(
        self,
        table: Table,
        rows: Sequence[Row],
        *,
        by: Sequence[str],
        changes: str | None = None,
        also: str = "",
        when: str = "true",
        part: str | None = None,
        returning: str = "",
    ) -> None:
        """Update rows found by the columns `by`; the other keys are set, or `changes` says how (`t` old, `v` new).

        `when` is one more condition on both."""
        if not rows:
            return
        setting = changes or ", ".join(f"{name} = v.{name}" for name in rows[0] if name not in by)
        where = " AND ".join(f"t.{name} = v.{name}" for name in by)
        self._parts.append(
            f"{part or f'changed_{table.name}'} AS ("
            f"UPDATE {table.name} t SET {setting}{also} FROM {self._source(table, rows)} "
            f"WHERE t.merchant_id = $1::uuid AND {where} AND {when} {returning})"
        )

    def part(self, name: str, table: Table, rows: Sequence[Row], sql: str) -> None:
        """A part in its own words; `{rows}` in them stands for the rows, which are called `v`.

        Columns of theirs that the table does not have are UUIDs.
        """
        if rows:
            self._parts.append(f"{name} AS ({sql.format(rows=self._source(table, rows))})")

    async def run(self, connection: Connection, select: str) -> Sequence[Any]:
        """Run all parts and read what `select` says of those that return something. Without parts nothing runs."""
        if not self._parts:
            return ()
        rows: Sequence[Any] = await connection.fetch(f"WITH {', '.join(self._parts)} {select}", *self._values)
        return rows

    def _source(self, table: Table, rows: Sequence[Row]) -> str:
        self._values.append(orjson.dumps(rows, default=_as_postgresql_reads_it).decode())
        columns = [f"{name} {sql_type(table, name) if name in table.c else 'UUID'}" for name in rows[0]]
        return f"json_to_recordset(${len(self._values)}::json) AS v ({', '.join(columns)})"


def _as_postgresql_reads_it(value: object) -> str:
    """What orjson does not write by itself: bytes, and the ids that asyncpg read, which have a class of their own."""
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(type(value).__name__)


def differing(names: Iterable[str]) -> str:
    """`name = excluded.name` for each: the SET of an upsert that takes what is new."""
    return ", ".join(f"{name} = excluded.{name}" for name in names)
