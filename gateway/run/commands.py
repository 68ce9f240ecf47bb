"""What the command line does with a database, without serving: examine, explain, apply and show the catalogue."""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway.catalogue_file import CatalogueFile, read_catalogue, written
from gateway.domain.catalogue_content import ApplyReport, NotInCatalogueError
from gateway.domain.ids import CARD, PAYMENT, IdError, show
from gateway.domain.payments import Payment
from gateway.domain.references import read_reference
from gateway.objects.catalogue import catalogue_object
from gateway.ports import Reference
from gateway.run.keys import keys_of
from gateway.run.local import LocalError
from gateway.run.providers import NOTES
from gateway.run.sample import Sample, put_sample
from gateway.settings import Settings
from gateway.storage.catalogue.store import CatalogueStore
from gateway.storage.reading import doctor
from gateway.storage.reading.doctor import Diagnosis
from gateway.storage.reading.key_use import require_order_key
from gateway.storage.reading.reader import decision_of
from gateway.storage.reading.references import OperatorSearch
from gateway.storage.server.bounds import require_bounds
from gateway.storage.server.engine import AsyncEngine, create_engine
from gateway.storage.server.migrate import require_current
from router.decide import replay
from router.explain import explain
from router.record import from_record

__all__ = [
    "apply_file",
    "apply_sample",
    "clear_silent_refusal",
    "diagnose",
    "explain_payment",
    "exported_catalogue",
    "look_over",
    "shown_catalogue",
]

POOL_SIZE = 2
SHOWN_MAX = 10
HISTORY_SHOWN = 50


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
    keys = keys_of(settings)
    return CatalogueStore(engine, keys.ring, zone=ZoneInfo(settings.business_timezone), prints=keys.order)


async def diagnose(url: str) -> list[str]:
    """What is wrong in the books."""
    return (await look_over(url)).wrong


async def look_over(url: str, tell: Callable[[str], None] | None = None) -> Diagnosis:
    """All that `sluice doctor` tells of the books; `tell` hears how far it is."""
    async with _engine(url) as engine:
        return await doctor.diagnose(engine, datetime.now(UTC), tell)


async def explain_payment(url: str, named: str) -> list[str]:
    """Why a payment took its channel, in sentences. It is named by any id or number of it. Raises LocalError."""
    async with _engine(url) as engine:
        payment = await _the_one(engine, named)
        record = await decision_of(engine, payment)
    if record is None:
        raise LocalError(f"the decision of {show(PAYMENT, payment.payment_id)} is not in this database")
    decided = from_record(record)
    sentences = explain(decided)
    again = replay(record)
    if (again.chosen, again.refusal) != (decided.chosen, decided.refusal):
        sentences.append(
            f"Decided again on the same facts, this version of the router says: {again.chosen or again.refusal}."
        )
    if named != show(PAYMENT, payment.payment_id):
        sentences.insert(0, f"{named} is payment {show(PAYMENT, payment.payment_id)} of app {payment.app}.")
    return [*sentences, *record.get("notes", [])]


async def _the_one(engine: AsyncEngine, named: str) -> Payment:
    """The payment that goes by an id or a number. Raises LocalError."""
    search = OperatorSearch(engine, ZoneInfo("UTC"))  # no day is asked for
    found = {each.payment_id: each for by in _references(named) for each in await search.anywhere(by)}
    if not found:
        raise LocalError(f"no payment in this database goes by {named}")
    if len(found) > 1:
        ids = ", ".join(show(PAYMENT, each) for each in list(found)[:SHOWN_MAX])
        raise LocalError(f"{len(found)} payments go by {named}; name one of them by its id: {ids}")
    return next(iter(found.values()))


def _references(named: str) -> list[Reference]:
    """What it may be: an id of ours, or a number of the app's, ours or the PSP's."""
    try:
        prefix, given = read_reference(named)
    except IdError:
        return [
            Reference(merchant_order_no=named),
            Reference(channel_order_no=named),
            Reference(channel_transaction_no=named),
        ]
    if prefix == CARD:
        raise LocalError(f"{named} is a card; name a payment by an id or a number of it")
    return [Reference(object_id=(prefix, given))]


async def apply_file(
    url: str, settings: Settings, path: Path, environ: Mapping[str, str], *, dry: bool = False
) -> ApplyReport:
    """Read a catalogue file and put it in force. Raises CatalogueFileError, CatalogueRefusedError, KeyRingError.

    `dry`: it only tells what it would do.
    """
    async with _engine(url) as engine:
        store = _store(engine, settings)
        # In this order: what the file keeps was in force at this version, or there is another one by now.
        version = await store.version()
        content = read_catalogue(path, environ, await store.content(whole=False), settings.callback_base)
        if any(merchant.blocks for merchant in content.merchants):
            await require_order_key(engine, keys_of(settings))  # with another one the prints would block nobody
        by = f"sluice catalogue apply ({os.environ.get('USER') or os.getuid()})"
        only_at = version if content.keeps else None
        return await store.apply(content, by, f"file {path.name}", datetime.now(UTC), only_at=only_at, dry=dry)


async def apply_sample(url: str, settings: Settings, content: CatalogueFile) -> Sample:
    """Put the sample in force, unless somebody changed what is there."""
    async with _engine(url) as engine:
        return await put_sample(_store(engine, settings), content)


async def shown_catalogue(url: str, settings: Settings) -> dict[str, Any]:
    """The catalogue in force, as the API shows it: without secrets."""
    async with _engine(url) as engine:
        store = _store(engine, settings)
        catalogue, apps, history = await store.load(), await store.app_names(), await store.history(HISTORY_SHOWN)
        return catalogue_object(catalogue, apps, history, datetime.now(UTC), NOTES)


async def clear_silent_refusal(
    url: str, settings: Settings, merchant: str, account: str, bank: str, *, by: str, note: str
) -> int:
    """Have cards of a bank bound silently at an account again; the new version. Raises LocalError."""
    async with _engine(url) as engine:
        store = _store(engine, settings)
        merchant_id = (await store.merchant_ids()).get(merchant)
        if merchant_id is None:
            raise LocalError(f"there is no merchant {merchant}")
        try:
            return await store.clear_silent_refusal(merchant_id, account, bank, by=by, note=note, now=datetime.now(UTC))
        except NotInCatalogueError:
            refused = (await store.load()).silent_refusals_of(merchant_id)
            listed = ", ".join(f"{each.bank} at {each.account}" for each in refused) or "none"
            raise LocalError(f"{bank} is not refused at {account}; refused are: {listed}") from None


async def exported_catalogue(url: str, settings: Settings) -> str:
    """The catalogue in force as the text of a file that can be applied. Raises DecryptionError."""
    async with _engine(url) as engine:
        return written(await _store(engine, settings).content(), ZoneInfo(settings.business_timezone))
