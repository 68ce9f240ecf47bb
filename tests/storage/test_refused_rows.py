"""What PostgreSQL quotes of a refused row is nowhere in what is logged. The rows here are refused by a real server.

Not here: which fields of our own are secret (tests/unit/test_logs).
"""

import asyncio
import io
import logging
from collections.abc import Callable

import asyncpg
import pytest
from sqlalchemy import exc, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from gateway import logs
from gateway.refused_rows import forget_row, said_by

MARK, NAME = "mark-773190417", "张三丰"
TABLE = "CREATE TEMP TABLE kept (id int PRIMARY KEY, name text CHECK (length(name) < 3), at int NOT NULL)"
REFUSED = [
    f"INSERT INTO kept VALUES (1, '{NAME}\n{MARK}', 1)",  # a check, and a value with a line of its own
    f"INSERT INTO kept VALUES (1, '{MARK}', NULL)",
    "INSERT INTO kept VALUES (773190417, 'a', 1), (773190417, 'a', 1)",
    f"INSERT INTO kept VALUES (1, 'a', '{MARK}')",
    f"""SELECT * FROM json_to_recordset('[{{"id": "{MARK}"}}]') AS v (id int)""",
    f"""SELECT '{{"a": {MARK}}}'::json""",
    f"SELECT '{MARK}'::timestamptz",
]
HIDDEN = (MARK, NAME, "773190417")


async def refused(engine: AsyncEngine, sql: str) -> asyncpg.PostgresError:
    """What the driver raises for a statement, as it comes from the server."""
    connection = await asyncpg.connect(engine.url.render_as_string(hide_password=False).replace("+asyncpg", ""))
    try:
        await connection.execute(TABLE)
        with pytest.raises(asyncpg.PostgresError) as raised:
            await connection.execute(sql)
    finally:
        await connection.close()
    return raised.value


def by_us(error: BaseException) -> None:
    try:
        raise error
    except type(error):
        logs.get("x").exception("failed")


def by_a_library(error: BaseException) -> None:
    logging.getLogger("sqlalchemy.pool").error("while closing", exc_info=error)


def by_the_loop(error: BaseException) -> None:
    loop = asyncio.get_running_loop()
    loop.call_exception_handler({"message": "never retrieved", "exception": error})


def as_the_cause_of_another(error: BaseException) -> None:
    try:
        raise RuntimeError("a flush failed") from error
    except RuntimeError:
        logs.get("x").exception("failed")


def in_the_context_of_another(error: BaseException) -> None:
    try:
        try:
            raise error
        except type(error):
            raise KeyError("while it was told")  # noqa: B904 -- that is what is looked at
    except KeyError:
        logs.get("x").exception("failed")


def in_a_group(error: BaseException) -> None:
    by_us(BaseExceptionGroup("several", [error, ValueError("other")]))


def in_few_words(error: BaseException) -> None:
    logs.get("x").warning("failed", reason=said_by(error))


WAYS: list[Callable[[BaseException], None]] = [
    by_us,
    by_a_library,
    by_the_loop,
    as_the_cause_of_another,
    in_the_context_of_another,
    in_a_group,
    in_few_words,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_a_refused_row_is_not_logged(
    engine: AsyncEngine, written: io.StringIO, way: Callable[[BaseException], None]
) -> None:
    for sql in REFUSED:
        way(await refused(engine, sql))
    said = written.getvalue()
    assert len(said.splitlines()) == len(REFUSED)
    assert "CheckViolationError" in said
    assert "violates check constraint" in said
    for each in HIDDEN:
        assert each not in said


async def test_nor_is_it_when_sqlalchemy_tells_of_it(engine: AsyncEngine, written: io.StringIO) -> None:
    insert = text("INSERT INTO kept VALUES (:id, :name, :at)")
    read = text("SELECT v.id FROM json_to_recordset(CAST(:rows AS json)) AS v (id int)")
    bare = create_async_engine(engine.url, hide_parameters=True)  # an engine that is not one of ours
    try:
        for sql, values in (
            (insert, {"id": 1, "name": f"{NAME}\n{MARK}", "at": 1}),
            (insert, {"id": 1, "name": MARK, "at": None}),
            (insert, {"id": 1, "name": "a", "at": MARK}),
            (read, {"rows": f'[{{"id": "{MARK}"}}]'}),
        ):
            async with bare.connect() as connection:
                await connection.execute(text(TABLE))
                with pytest.raises(exc.DBAPIError) as raised:
                    await connection.execute(sql, values)
            by_us(raised.value)
    finally:
        await bare.dispose()
    assert "violates check constraint" in written.getvalue()
    for each in HIDDEN:
        assert each not in written.getvalue()


async def test_a_value_that_the_driver_refuses_by_itself_is_not_logged(
    engine: AsyncEngine, written: io.StringIO
) -> None:
    connection = await asyncpg.connect(engine.url.render_as_string(hide_password=False).replace("+asyncpg", ""))
    try:
        for sql in ("SELECT $1::int", "SELECT $1::uuid", "SELECT $1::timestamptz"):
            with pytest.raises(asyncpg.DataError) as raised:
                await connection.fetch(sql, MARK)
            by_us(raised.value)
    finally:
        await connection.close()
    assert MARK not in written.getvalue()
    assert "invalid input for query argument" in written.getvalue()


async def test_an_error_that_was_made_a_text_before_loses_its_row(engine: AsyncEngine, written: io.StringIO) -> None:
    error = await refused(engine, REFUSED[0])
    by_us(RuntimeError(f"cannot be written: {error}"))
    logs.get("x").warning("failed", reason=str(error))
    for each in HIDDEN:
        assert each not in written.getvalue()
    assert written.getvalue().count("violates check constraint") == 3  # a message, a stack and a reason


async def test_what_is_told_stays_what_it_was(engine: AsyncEngine) -> None:
    error = await refused(engine, REFUSED[0])
    forget_row(error)
    assert (error.sqlstate, error.constraint_name, error.table_name) == ("23514", "kept_name_check", "kept")
    ours = ValueError("no such card: 12")
    forget_row(ours)
    assert str(ours) == "no such card: 12"
