"""A migration of the next version commits while processes of this one serve: they go on, and stay ready.

Not here: what refuses to roll, and tables that are locked (test_migrations).
"""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.outcomes import Succeeded
from gateway.domain.statuses import Status
from gateway.ports import OpenResult
from gateway.storage.server import migrate
from gateway.storage.server.migrate import applied, head, is_current, require_current, upgrade
from tests.keys import new_keys
from tests.storage.gateway_process import Process
from tests.unit.domain.samples import catalogue, channel, opening, order, rule

NEXT = '''
"""The next version: another column, another index."""

import sqlalchemy as sa
from alembic import op

from gateway.storage.server.ddl import create_index

revision = "9999"
down_revision = "{head}"
branch_labels = None
depends_on = None
tolerates = "{head}"


def upgrade() -> None:
    op.add_column("payments", sa.Column("colour", sa.Text()))
    op.add_column("intents", sa.Column("colour", sa.Text(), server_default="blue", nullable=False))
    op.alter_column("payments", "description", type_=sa.String(2000))
    create_index("payments_by_colour", "payments", ["merchant_id", "colour"])
'''
AT_ONCE = 4
BEFORE = 20


@pytest.fixture
def next_version(tmp_path: Path) -> Iterator[Path]:
    """The migrations as the next version of the program has them."""
    folder = tmp_path / "migrations"
    shutil.copytree(migrate.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "9999_colour.py").write_text(NEXT.format(head=head()))
    yield folder
    migrate._tolerated.cache_clear()


async def upgraded_by(version: Path, url: str) -> None:
    """What `sluice migrate` of another version does."""
    with pytest.MonkeyPatch.context() as there:
        there.setattr(migrate, "FOLDER", version)
        migrate._tolerated.cache_clear()
        await upgrade(url)
        assert head() == "9999"
    migrate._tolerated.cache_clear()


async def test_the_old_processes_serve_before_during_and_after_it(own_engine: AsyncEngine, next_version: Path) -> None:
    process = Process(own_engine, new_keys(), catalogue((channel("up"),), (rule("up"),)))
    url = own_engine.url.render_as_string(hide_password=False)
    taken: list[str] = []
    enough, over = asyncio.Event(), asyncio.Event()

    async def serve(number: int) -> None:
        while not over.is_set():
            name = f"{number}-{len(taken)}"
            opened = await process.books.open(opening(order(name, user_id=f"u{name}")))
            assert isinstance(opened, OpenResult)
            recorded = await process.heard(opened.payment, Succeeded(1000))
            assert recorded.payment is not None
            assert recorded.payment.status is Status.SUCCEEDED
            taken.append(name)
            if len(taken) >= BEFORE:
                enough.set()

    async with asyncio.TaskGroup() as tasks:
        for number in range(AT_ONCE):
            tasks.create_task(serve(number))
        await enough.wait()
        before = len(taken)
        await upgraded_by(next_version, url)
        enough.clear()
        during = len(taken) - before
        await enough.wait()
        over.set()
    assert during > 0
    assert await applied(own_engine) == "9999"
    assert head() != "9999"
    assert await is_current(own_engine)
    await require_current(own_engine)  # and one of them may be started again
    assert await process.count("payments") == len(taken)
