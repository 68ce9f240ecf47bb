"""What the command line does with a database, without serving: examine, explain, apply and show the catalogue."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from gateway.catalogue_file import CatalogueFile, read_catalogue
from gateway.domain.catalogue import Catalogue
from gateway.domain.catalogue_content import ApplyReport
from gateway.domain.ids import PAYMENT, read
from gateway.run.keys import keys_of
from gateway.run.local import LocalError
from gateway.settings import Settings
from gateway.storage.catalogue.store import CatalogueStore
from gateway.storage.reading.doctor import examine
from gateway.storage.reading.reader import decision_of
from gateway.storage.server.bounds import require_bounds
from gateway.storage.server.engine import AsyncEngine, create_engine
from gateway.storage.server.migrate import require_current
from router.decide import replay
from router.explain import explain
from router.record import from_record

__all__ = ["apply_catalogue", "apply_file", "diagnose", "explain_payment", "load_catalogue"]

POOL_SIZE = 2


@asynccontextmanager
async def _engine(url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(url, POOL_SIZE, application_name="sluice command")
    try:
        await require_bounds(engine)
        await require_current(engine)
        yield engine
    finally:
        await engine.dispose()


def _store(engine: AsyncEngine, settings: Settings) -> CatalogueStore:
    return CatalogueStore(engine, keys_of(settings).ring)


async def diagnose(url: str) -> list[str]:
    """What `sluice doctor` finds wrong."""
    async with _engine(url) as engine:
        return await examine(engine, datetime.now(UTC))


async def explain_payment(url: str, shown_id: str) -> list[str]:
    """Why a payment took its channel, in sentences. Raises IdError, LocalError."""
    payment_id = read(PAYMENT, shown_id)
    async with _engine(url) as engine:
        record = await decision_of(engine, payment_id)
    if record is None:
        raise LocalError(f"there is no payment {shown_id} in this database")
    decided = from_record(record)
    sentences = explain(decided)
    again = replay(record)
    if (again.chosen, again.refusal) != (decided.chosen, decided.refusal):
        sentences.append(
            f"Decided again on the same facts, this version of the router says: {again.chosen or again.refusal}."
        )
    return [*sentences, *record.get("notes", [])]


async def apply_file(url: str, settings: Settings, path: Path, environ: Mapping[str, str]) -> ApplyReport:
    """Read a catalogue file and put it in force. Raises CatalogueFileError, CatalogueRefusedError."""
    return await apply_catalogue(url, settings, read_catalogue(path, environ), f"file {path.name}")


async def apply_catalogue(url: str, settings: Settings, content: CatalogueFile, note: str) -> ApplyReport:
    """Put a checked catalogue in force."""
    async with _engine(url) as engine:
        by = f"sluice catalogue apply ({os.environ.get('USER') or os.getuid()})"
        return await _store(engine, settings).apply(content, by, note, datetime.now(UTC))


async def load_catalogue(url: str, settings: Settings) -> Catalogue:
    """The catalogue in force."""
    async with _engine(url) as engine:
        return await _store(engine, settings).load()
