"""docs/sql.md shows the finished SQL of each flush: it is what is sent. And every statement has the shape that spreads.

Spread over a cluster by `merchant_id`, a statement is sent to the one server that has its merchant. Not tested here:
statements on a cluster itself.
"""

import os
import re
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.keys import new_keys
from tests.storage.cluster_shape import WORKERS, against_the_shape
from tests.storage.flush_sql import Statement, as_markdown, flushes

PAGE = Path(__file__).parents[2] / "docs" / "sql.md"
_PLANS = re.compile(r"<details>.*?</details>", re.DOTALL)


async def test_the_page_shows_what_is_sent(engine: AsyncEngine) -> None:
    page = as_markdown(await flushes(engine, new_keys()))
    if os.environ.get("SLUICE_WRITE_SQL"):
        PAGE.write_text(page, encoding="utf-8")
    written = PAGE.read_text(encoding="utf-8")
    assert _PLANS.sub("", written) == _PLANS.sub("", page), "the SQL has changed: write docs/sql.md anew (see its head)"


async def test_every_statement_names_the_merchant_and_none_reads_by_time(engine: AsyncEngine) -> None:
    told = await flushes(engine, new_keys())
    statements: list[Statement] = [each for heard in told.values() for each in heard]
    assert all("merchant_id" in each.sql and "$1" in each.sql for each in statements)
    assert not [each.sql for each in statements if "now()" in each.sql.lower()]


async def test_every_flush_has_the_shape_that_a_cluster_takes(engine: AsyncEngine) -> None:
    told = await flushes(engine, new_keys())
    assert {
        each.sql: found for heard in told.values() for each in heard if (found := against_the_shape(each.sql))
    } == {}


@pytest.mark.parametrize("name", WORKERS)
def test_every_statement_of_the_workers_has_the_shape_that_a_cluster_takes(name: str) -> None:
    assert against_the_shape(WORKERS[name]) == []


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        (
            "SELECT 1 FROM payments p JOIN refunds r ON r.payment_id = p.id WHERE p.merchant_id = $1",
            "reads refunds without its merchant",
        ),
        (
            "SELECT m FROM unnest($1::uuid[]) AS m WHERE EXISTS (SELECT 1 FROM refunds WHERE merchant_id = m)",
            "reads refunds without its merchant",
        ),
        ("UPDATE payments SET due_at = now() WHERE merchant_id = $1", "makes a time or an id in the database"),
        ("UPDATE payments SET sequence = $2 WHERE merchant_id = $1 RETURNING $3", "has a parameter in RETURNING"),
        (
            "INSERT INTO users (merchant_id) VALUES ($1) ON CONFLICT DO UPDATE SET created_at = $2",
            "has a parameter in ON CONFLICT",
        ),
    ],
)
def test_what_a_cluster_refuses_is_found(sql: str, says: str) -> None:
    assert says in against_the_shape(sql)
