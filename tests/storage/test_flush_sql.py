"""docs/sql.md shows the finished SQL of each flush: it is what is sent. And every statement names the merchant."""

import os
import re
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from tests.keys import new_keys
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
