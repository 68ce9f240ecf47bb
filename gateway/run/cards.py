"""What `sluice cards` does: rewrap cards and secrets under the ring's primary, and erase a card."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from gateway.domain.ids import CARD, read, show
from gateway.ports import CardNotFoundError
from gateway.run.keys import keys_of
from gateway.run.local import LocalError
from gateway.settings import Settings
from gateway.storage.catalogue.store import CatalogueStore
from gateway.storage.keys import KeyRing
from gateway.storage.reading.key_use import KeyUse, key_use, require_order_key
from gateway.storage.server.bounds import require_bounds
from gateway.storage.server.database import Database
from gateway.storage.server.engine import STATEMENT_TIMEOUT_MS, create_engine
from gateway.storage.server.migrate import require_current
from gateway.storage.writing.erasing import CardInUseError, erase_card
from gateway.storage.writing.rewrap import Rewrap
from gateway.storage.writing.rewrap_payees import RewrapPayees

__all__ = ["Rewrapped", "erase", "rewrap"]

POOL_SIZE = 2
APPLICATION = "sluice command"
MAX_ROUNDS = 20
"""Over all cards: more than one where users were held, or where processes still write with another key."""
PAUSE_S = 1.0
FIRST = UUID(int=0)
MAX_NAMED = 20


@dataclass(slots=True)
class Rewrapped:
    """What a rewrap did, and what is under which key now."""

    ring: KeyRing
    cards: int = 0
    together: int = 0
    busy: int = 0
    """Left out in the last round because somebody held their user."""
    secrets: int = 0
    payouts: int = 0
    """Whose payees were rewrapped."""
    missing: Counter[int] = field(default_factory=Counter)
    """By the number of a key that is not in the ring: cards that were left out."""
    broken: list[UUID] = field(default_factory=list)
    use: dict[int, KeyUse] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether everything is under the primary."""
        return not (self.busy or self.missing or self.broken)

    def lines(self) -> list[str]:
        """What to tell an operator."""
        said = [
            f"{self.cards} cards and {self.secrets} secrets of the catalogue rewrapped under key {self.ring.primary}"
        ]
        if self.payouts:
            said.append(f"the payees of {self.payouts} payouts were rewrapped, too")
        if self.together:
            said.append(f"{self.together} cards were another one typed differently: that one is found in their place")
        if self.busy:
            said.append(f"{self.busy} cards were left out, their users were held by others: run this again")
        for number, cards in sorted(self.missing.items()):
            said.append(
                f"{cards} cards need key {number}, which is not in SLUICE_CARD_KEYS: put it back, run this again"
            )
        if self.broken:
            named = ", ".join(show(CARD, card_id) for card_id in self.broken[:MAX_NAMED])
            said.append(
                f"{len(self.broken)} cards do not open though their key is there; their rows were altered: {named}"
            )
        return [*said, *(self._line(number) for number in sorted(self.use.keys() | self.ring.keys))]

    def _line(self, number: int) -> str:
        use = self.use.get(number, KeyUse())
        name = f"key {number}" + (" (primary)" if number == self.ring.primary else "")
        holds = f"{use.cards} cards, {use.agreements} agreements, {use.secrets} secrets of the catalogue"
        holds += f", payees of {use.payouts} payouts" if use.payouts else ""
        hashes = (
            f"; {use.order_hashes} orders of the first version were hashed with it: without it their repeats are "
            "compared by kind, scene, user, amount and currency alone"
            if use.order_hashes
            else ""
        )
        if use.needed or number == self.ring.primary:
            return f"{name}: {holds}{hashes}"
        return f"{name}: nothing is under it, it can leave the ring{hashes}"


async def rewrap(url: str, settings: Settings, progress: Callable[[int, int], None]) -> Rewrapped:
    """Rewrap everything that is not under the primary. `progress` is told how many cards are done, and of how many."""
    keys = keys_of(settings)
    engine = create_engine(url, POOL_SIZE, application_name=APPLICATION)
    database = Database(url, POOL_SIZE, application_name=APPLICATION, statement_timeout_ms=STATEMENT_TIMEOUT_MS)
    try:
        await require_bounds(engine)
        await require_current(engine)
        await require_order_key(engine, keys)
        store = CatalogueStore(engine, keys.ring)
        done = Rewrapped(keys.ring, secrets=await store.reseal(by=_operator(), now=_now()))
        merchants = list((await store.merchant_ids()).values())
        work = Rewrap(database, keys)
        total = sum([await work.left(merchant_id) for merchant_id in merchants])
        progress(0, total)
        for number in range(MAX_ROUNDS):
            if number:
                await asyncio.sleep(PAUSE_S)
            before = done.cards
            done.busy, done.missing, done.broken = 0, Counter(), []
            for merchant_id in merchants:
                await _round(work, merchant_id, done, lambda: progress(done.cards, max(total, done.cards)))
            if done.cards == before and not done.busy:
                break
        payees = RewrapPayees(database, keys)
        for merchant_id in merchants:
            await payees.all(merchant_id, done)
        done.use = await key_use(engine)
        return done
    finally:
        await database.close()
        await engine.dispose()


async def _round(work: Rewrap, merchant_id: UUID, done: Rewrapped, tell: Callable[[], None]) -> None:
    after = FIRST
    while True:
        batch = await work.batch(merchant_id, after, _now())
        done.cards += batch.done
        done.together += batch.together
        done.busy += batch.busy
        done.missing += batch.missing
        done.broken += batch.broken
        tell()
        if batch.last is None:
            return
        after = batch.last


async def erase(url: str, settings: Settings, merchant: str, shown_card: str) -> list[str]:
    """Erase a card of a merchant; what to tell an operator. Raises IdError, LocalError."""
    card_id = read(CARD, shown_card)
    engine = create_engine(url, POOL_SIZE, application_name=APPLICATION)
    database = Database(url, POOL_SIZE, application_name=APPLICATION, statement_timeout_ms=STATEMENT_TIMEOUT_MS)
    try:
        await require_bounds(engine)
        await require_current(engine)
        codes = await CatalogueStore(engine, keys_of(settings).ring).merchant_ids()
        if merchant not in codes:
            raise LocalError(f"there is no merchant {merchant} in this database")
        try:
            erased = await erase_card(database, codes[merchant], card_id, _now())
        except CardNotFoundError:
            raise LocalError(f"{merchant} has no card {shown_card}") from None
        except CardInUseError as error:
            raise LocalError(
                f"{error.shown} of {shown_card} is open, or still asked about: erase the card when nothing is"
            ) from None
    finally:
        await database.close()
        await engine.dispose()
    said = [f"{show(CARD, one)}: key, elements, prints and agreement numbers are gone" for one in erased.cards]
    said = said or [f"{shown_card} was erased before"]
    perhaps = ", ".join(show(CARD, one) for one in erased.perhaps)
    if perhaps:
        said.append(
            f"perhaps the same card, typed differently by the same user: {perhaps}; `sluice cards rewrap` tells"
        )
    return said


def _operator() -> str:
    return f"sluice cards rewrap ({os.environ.get('USER') or os.getuid()})"


def _now() -> datetime:
    return datetime.now(UTC)
