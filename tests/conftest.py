"""One PostgreSQL per test process, and a fresh database per test, cloned from a migrated template.

The server is an embedded one, or the one that `SLUICE_TEST_DATABASE_URL` names (CONTRIBUTING.md).
"""

import asyncio
import gc
import io
import logging
import os
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway import logs
from gateway.domain import clocks
from gateway.run import collector
from gateway.storage.server.embedded import EmbeddedPostgres
from gateway.storage.server.engine import create_engine
from gateway.storage.server.migrate import upgrade
from sandbox.mocks import prepare_keys
from tests import sharing
from tests.databases import (
    RUN,
    VARIABLE,
    Emptying,
    GivenServer,
    Server,
    close,
    copy_of,
    drop,
    drop_all,
    new_database,
    own_database,
)
from tests.folders import short_lived_folder
from tests.known_keys import check_each_private_key_once

# A busy machine is slow: no example has a deadline, and drawing one may take its time.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")

WHOLE_SYSTEMS = (Path(__file__).parent / "e2e", Path(__file__).parent / "pages")
TEMPLATE, SHARED = "template", "shared"
NO_BROWSER = "no Chromium"
"""How the word begins by which tests in a browser are skipped."""
POOL_SIZE = 8
_numbers = count(1)

# Programs that tests start keep what they compile, whatever this one was told: compiling costs them more than starting.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

check_each_private_key_once()

# Where no test has said how to log: by default each exception is drawn with all its variables, which takes 0.2 s.
structlog.dev.ConsoleRenderer.get_active().exception_formatter = structlog.dev.plain_traceback


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests live to the end: the collector looks for garbage in them neither now nor later."""
    gc.disable()
    try:
        return (yield)
    finally:
        collector.settle()
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """So many processes are `-n auto`."""
    return sharing.processes()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a run of several processes each begins with its share of what takes long."""
    if told := getattr(config, "workerinput", None):
        seconds = [sharing.seconds_of(item.nodeid) for item in items]
        items[:] = sharing.in_pieces(items, seconds, told["workercount"])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Where whole systems run the margin for clocks that differ is cut short: there all have one clock.

    No fixture of the session does it: that would live on while the tests of other folders run.
    """
    with pytest.MonkeyPatch.context() as patch:
        if any(item.path.is_relative_to(folder) for folder in WHOLE_SYSTEMS):
            patch.setattr(clocks, "PROOF_MARGIN_S", 0.0)
        return (yield)


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A temporary folder that any system user can pass, for embedded servers (pytest's own are closed, and long)."""
    with short_lived_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def psp_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The keys of all sandboxes, for whoever only reads them: making a dozen RSA keys takes longer than a test."""
    folder = tmp_path_factory.mktemp("psp-keys")
    prepare_keys(folder)
    return folder


@pytest.fixture(scope="session")
def new_cluster(short_folder: Path) -> Path:
    """A data folder whose server was made and stopped, to be copied: to make one costs three times as much."""
    folder = short_folder / "new-cluster"
    with EmbeddedPostgres(folder, durable=False, tell=lambda _: None):
        return folder


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The server of this test process: its own, in which nothing is durable, or the one that is given."""
    if given := os.environ.get(VARIABLE):
        server = GivenServer(given)
        yield server
        asyncio.run(drop_all(server))
        return
    folder = request.getfixturevalue("short_folder")
    with EmbeddedPostgres(folder / "pg", durable=False, tell=lambda _: None) as embedded:
        yield embedded


@pytest.fixture(scope="session")
async def template(postgres: Server) -> str:
    """The name of a database with every migration applied."""
    await upgrade(await new_database(postgres, TEMPLATE))
    return f"{RUN}_{TEMPLATE}"


@pytest.fixture
async def empty_database_url(postgres: Server) -> AsyncIterator[str]:
    """A database of the test's own with nothing in it."""
    url = await new_database(postgres, f"empty_{next(_numbers)}")
    yield url
    await drop(postgres, url)


@pytest.fixture(scope="session")
async def shared_url(postgres: Server, template: str) -> str:
    """The database that the tests of one process share, one after the other."""
    return await copy_of(postgres, template, SHARED)


@pytest.fixture(scope="session")
async def shared_engine(shared_url: str) -> AsyncIterator[AsyncEngine]:
    """A pool on the shared database, warm from the second test on."""
    engine = create_engine(shared_url, POOL_SIZE, application_name="test")
    yield engine
    await close(engine)


@pytest.fixture(scope="session")
async def emptying(shared_url: str) -> AsyncIterator[Emptying]:
    """What empties the shared database."""
    emptying = Emptying(shared_url)
    yield emptying
    await emptying.close()


@pytest.fixture
async def database_url(shared_url: str, emptying: Emptying) -> str:
    """A migrated, empty database, for `create_engine` and `Connect`.

    Emptied before each test: that takes 1 ms, a database of its own would take 100.
    """
    await emptying.empty()
    return shared_url


@pytest.fixture
async def alone(database_url: str, emptying: Emptying) -> Any:
    """A connection to the empty database on which no foreign key is looked at: rows stand alone."""
    return await emptying.connection()


@pytest.fixture
async def engine(database_url: str, shared_engine: AsyncEngine) -> AsyncEngine:
    """A pool on the empty database."""
    return shared_engine


@pytest.fixture(scope="session")
async def second_engine(shared_url: str) -> AsyncIterator[AsyncEngine]:
    """Another pool on the shared database, as warm: to open one for each test costs more than most tests."""
    engine = create_engine(shared_url, POOL_SIZE, application_name="other")
    yield engine
    await close(engine)


@pytest.fixture
async def other_engine(database_url: str, second_engine: AsyncEngine) -> AsyncEngine:
    """The pool of a second process on the empty database."""
    return second_engine


@pytest.fixture
async def own_engine(postgres: Server, template: str) -> AsyncIterator[AsyncEngine]:
    """A pool on a database of the test's own, whose schema it may change."""
    async with own_database(postgres, template) as engine:
        yield engine


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What is logged while the test runs, as lines of JSON."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("info", console=False, stream=stream)
    # One that was used by a command of a test before writes there for as long as the process lives.
    for module in list(sys.modules.values()):
        log = getattr(module, "__dict__", {}).get("log")
        if isinstance(log, structlog._config.BoundLoggerLazyProxy):
            vars(log).pop("bind", None)
    # A logger that is used meanwhile would write here for as long as the process lives.
    structlog.configure(cache_logger_on_first_use=False)
    yield stream
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how to get the browser that tests were skipped for want of."""
    whys = [str(report.longrepr[-1]) for report in terminalreporter.stats.get("skipped", [])]
    without = [why.removeprefix("Skipped: ") for why in whys if NO_BROWSER in why]
    if without:
        terminalreporter.write_line(f"{len(without)} tests in a browser were skipped: {without[0]}")
