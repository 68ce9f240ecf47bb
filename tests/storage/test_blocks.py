"""The block list on a real PostgreSQL: who is refused, what it costs, and how entries and proposals come and go.

Not tested here: which values may be blocked (tests/unit/domain/test_blocks.py), the router's part (tests/unit/router),
the HTTP calls (test_admin_calls).
"""

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import chain, repeat
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.catalogue_file import CatalogueFile, written
from gateway.domain.blocks import REJECTED_FOR, Block, BlockedValue, BlockKind, ProposalState, blocked_value
from gateway.domain.cards import CardElements
from gateway.domain.catalogue import BUSINESS_ZONE, AuthenticationMode
from gateway.domain.catalogue_content import (
    AccountContent,
    BlockContent,
    CatalogueRefusedError,
    ChannelContent,
    MerchantContent,
    NotInCatalogueError,
    RuleContent,
)
from gateway.domain.failures import Advice, Blame, FailureCode
from gateway.domain.identities import IdType, compared_id
from gateway.domain.payments import Payment, Status
from gateway.domain.scenes import Scene
from gateway.storage.catalogue.blocks import BlockStore
from gateway.storage.catalogue.store import CatalogueStore
from gateway.storage.catalogue.watch import CatalogueWatch
from gateway.storage.keys import Keys
from gateway.storage.reading.reader import Reader
from router.decide import replay
from router.explain import explain
from router.fees import FixedFee
from router.record import from_record
from tests.keys import new_keys
from tests.storage.flush_sql import Witness, WitnessedDatabase
from tests.storage.gateway_process import TIMEZONE, Process
from tests.unit.domain.samples import MERCHANT_ID, NOW, card_elements, order

CARD = CardElements("6222021001112222", "张三", "11010119900307123X", "13800138000")
OTHER = card_elements(5)
USER, CARD_NO, ID_NO, PHONE = BlockKind.USER, BlockKind.CARD_NO, BlockKind.ID_NO, BlockKind.PHONE
SHOP = MerchantContent(
    "acme",
    "Acme",
    accounts=(AccountContent("tl-1", "mock", {}, {}),),
    channels=(ChannelContent("tl", "tl-1", "TL", True, {"*": AuthenticationMode.NONE}),),
    rules=(RuleContent("tl", Scene.WITHHOLD, "ICBC", True, FixedFee(9)),),
)


class Town:
    """A merchant in a database, with two gateway processes that follow its catalogue."""

    def __init__(self, engine: AsyncEngine, keys: Keys) -> None:
        ids = chain([MERCHANT_ID], (uuid4() for _ in repeat(None)))
        self.engine, self.keys = engine, keys
        self.catalogue = CatalogueStore(engine, keys.ring, lambda: next(ids), prints=keys.order)
        self.blocks = BlockStore(engine, keys.order, self.catalogue.change, uuid4)
        self.watch = CatalogueWatch(self.catalogue)

    async def start(self) -> "Town":
        await self.apply()
        self.process = Process(self.engine, self.keys, self.watch.current)
        return self

    async def apply(self, *blocks: BlockContent) -> Any:
        report = await self.catalogue.apply(CatalogueFile((replace(SHOP, blocks=blocks),)), "somebody", "a file", NOW)
        await self.watch.refresh_now()
        return report

    async def put(self, *wanted: BlockedValue, **said: Any) -> list[Block]:
        known = {"reason": "stolen", "expires_at": None, "by": "ann", "now": NOW} | said
        return await self.blocks.put(MERCHANT_ID, wanted, **known)

    async def pays(self, card: CardElements | None = CARD, **known: Any) -> Payment:
        """What becomes of an order, as another process hears of the list: by the catalogue."""
        self.process.catalogue = await self.watch.refresh_now()
        return await self.process.open_one(card=card, **known)

    async def is_blocked(self, card: CardElements | None = CARD, **known: Any) -> bool:
        failure = (await self.pays(card, **known)).failure
        assert failure is None or failure.code is FailureCode.BLOCKED, failure
        return failure is not None

    async def listed(self, **asked: Any) -> list[Block]:
        return await self.blocks.page(MERCHANT_ID, 100, **asked)


@pytest.fixture
async def town(engine: AsyncEngine) -> Town:
    return await Town(engine, new_keys()).start()


# --- who is refused ---


@pytest.mark.parametrize(
    ("kind", "typed", "also", "by"),
    [
        (CARD_NO, "6222 0210 0111 2222", replace(CARD, phone="13900000000"), "u2"),
        (PHONE, "138 0013 8000", replace(OTHER, phone=CARD.phone), "u2"),
        (ID_NO, "11010119900307123x", replace(OTHER, id_no=CARD.id_no), "u2"),
        (USER, "u1", OTHER, "u1"),
    ],
)
async def test_an_entry_blocks_whoever_comes_with_its_value_and_nobody_else(
    town: Town, kind: BlockKind, typed: str, also: CardElements, by: str
) -> None:
    assert not await town.is_blocked()
    await town.put(blocked_value(kind, typed))
    assert await town.is_blocked()
    assert await town.is_blocked(also, user_id=by)
    assert not await town.is_blocked(CARD if kind is USER else OTHER, user_id="u3")


async def test_an_id_number_of_15_digits_is_blocked_with_its_18_and_one_of_another_paper_is_not(town: Town) -> None:
    old = blocked_value(ID_NO, "110101900307123")
    await town.put(old, blocked_value(ID_NO, "E12345678", IdType.PASSPORT))
    assert await town.is_blocked(replace(CARD, id_no=compared_id(IdType.ID_CARD, old.value)))
    assert await town.is_blocked(replace(CARD, id_no=old.value))
    assert await town.is_blocked(replace(CARD, id_no="E12345678", id_type=IdType.PASSPORT))
    assert not await town.is_blocked(replace(CARD, id_no="E12345678", id_type=IdType.HK_MACAU_PERMIT))


async def test_a_blocked_payment_is_recorded_and_told_with_what_blocked_it_and_never_the_value(town: Town) -> None:
    await town.put(blocked_value(PHONE, CARD.phone), blocked_value(CARD_NO, CARD.card_no))
    payment = await town.pays()
    assert (payment.status, payment.channel, payment.expected_fee) == (Status.FAILED, None, None)
    assert payment.failure is not None
    assert (payment.failure.code, payment.failure.blame, payment.failure.advice) == (
        FailureCode.BLOCKED,
        Blame.PLATFORM,
        Advice.NONE,
    )
    assert await town.process.read(payment) == payment
    assert await town.process.one("SELECT type FROM events") == "payment.failed"
    assert await town.process.count("intents") == await town.process.count("channel_usage") == 0
    record = await _decision(town, payment)
    assert (record["refusal"], record["request"]["blocked"]) == ("blocked", ["card_no", "phone"])
    assert explain(from_record(record)) == [
        "Step 0: refused before routing, the merchant's block list has the card number and the phone."
    ]
    assert replay(record) == from_record(record)
    assert not [value for value in (CARD.phone, CARD.card_no) if value in repr(record)]


async def _decision(town: Town, payment: Payment) -> dict[str, Any]:
    reader = Reader(town.engine, town.process.database, town.keys, TIMEZONE)
    record = await reader.decision(MERCHANT_ID, payment.app, payment.payment_id)
    assert record is not None
    return record


async def test_the_others_of_a_flush_are_taken_and_a_card_that_is_known_by_its_id_is_blocked_too(town: Town) -> None:
    known = await town.pays()
    assert known.card is not None
    await town.put(blocked_value(CARD_NO, CARD.card_no))
    town.process.catalogue = await town.watch.refresh_now()
    named = order("named", card_id=known.card.card_id, card=CARD)
    opened = await town.process.opened(named, order("typed", card=CARD), order("other", card=card_elements(5)))
    assert [payment.failure and payment.failure.code.value for payment in opened] == ["blocked", "blocked", None]
    assert await town.process.opened(named) == [opened[0]], "the same order again is the same payment"


async def test_an_entry_blocks_until_it_expires_or_is_removed(town: Town) -> None:
    (entry,) = await town.put(blocked_value(USER, "u1"), expires_at=NOW + timedelta(hours=1))
    assert await town.is_blocked(now=NOW + timedelta(minutes=59))
    assert not await town.is_blocked(now=NOW + timedelta(hours=1))
    assert [block.is_over(NOW + timedelta(hours=1)) for block in await town.listed()] == [True]
    await town.blocks.remove(MERCHANT_ID, entry.block_id, by="bo", note="it was not them", now=NOW)
    assert not await town.is_blocked()
    with pytest.raises(NotInCatalogueError):
        await town.blocks.remove(MERCHANT_ID, entry.block_id, by="bo", note="again", now=NOW)


async def test_a_dry_run_knows_of_the_list(town: Town) -> None:
    reader = Reader(
        town.engine,
        town.process.database,
        town.keys,
        TIMEZONE,
        blocks=lambda merchant: town.watch.current.blocks(merchant),
    )
    assert (await reader.facts(MERCHANT_ID, "u1", CARD, None, NOW)).blocked == ()
    await town.put(blocked_value(ID_NO, CARD.id_no), blocked_value(USER, "u1"))
    await town.watch.refresh_now()
    assert (await reader.facts(MERCHANT_ID, "u1", CARD, None, NOW)).blocked == (USER, ID_NO)
    assert (await reader.facts(MERCHANT_ID, "u2", None, None, NOW)).blocked == ()


async def test_a_merchant_without_a_list_pays_nothing_and_a_flush_of_many_one_read(town: Town) -> None:
    witness = Witness()
    town.process.witnessed_by(lambda real: WitnessedDatabase(real, witness))

    async def statements(*numbers: int) -> int:
        town.process.catalogue, before = await town.watch.refresh_now(), len(witness.heard)
        await town.process.opened(*(order(f"o{n}", user_id=f"u{n}", card=card_elements(n)) for n in numbers))
        return len(witness.heard) - before

    without = await statements(1)
    await town.put(blocked_value(PHONE, "13700000000"), blocked_value(USER, "nobody"))
    assert await statements(2) == await statements(*range(3, 20)) == without + 1


# --- entries ---


async def test_the_same_again_changes_nothing_and_another_reason_only_that(town: Town) -> None:
    wanted = blocked_value(PHONE, CARD.phone), blocked_value(USER, "u1")
    first = await town.put(*wanted)
    version = await town.catalogue.version()
    assert await town.put(*wanted, by="bo") == first
    assert await town.catalogue.version() == version
    changed = await town.put(wanted[0], reason="fraud", by="bo")
    assert changed == [replace(first[0], reason="fraud")]
    assert [change.note for change in await town.catalogue.history(2)] == [
        "blocked: phone 138****8000",
        "blocked: 2 values",
    ]
    assert [change.changed_by for change in await town.catalogue.history(2)] == ["bo", "ann"]


async def test_entries_are_listed_newest_first_by_pages_and_kinds_and_found_by_their_value(town: Town) -> None:
    store = replace(town.blocks, new_id=town.catalogue._new_id)
    for number in range(5):
        kind = PHONE if number % 2 else USER
        (entry,) = await town.put(blocked_value(kind, f"1380013800{number}"))
    every = await town.listed()
    assert len(every) == 5
    assert every == sorted(every, key=lambda block: block.block_id, reverse=True)
    assert await town.listed(before=every[2].block_id) == every[3:]
    assert [block.kind for block in await town.listed(kind=PHONE)] == [PHONE, PHONE]
    assert await store.find(MERCHANT_ID, blocked_value(USER, "13800138004")) == entry
    assert await store.find(MERCHANT_ID, blocked_value(PHONE, "13800138004")) is None


async def test_two_who_block_the_same_at_once_make_one_entry(town: Town) -> None:
    wanted = blocked_value(CARD_NO, CARD.card_no)
    both = await asyncio.gather(town.put(wanted, by="ann"), town.put(wanted, by="bo"))
    assert both[0][0].block_id == both[1][0].block_id
    assert len(await town.listed()) == 1


async def test_no_value_stands_in_the_database(town: Town) -> None:
    await town.put(
        blocked_value(PHONE, CARD.phone), blocked_value(CARD_NO, CARD.card_no), blocked_value(USER, "user-seven")
    )
    await town.blocks.propose(MERCHANT_ID, blocked_value(ID_NO, CARD.id_no), reason="odd", by="a rule", now=NOW)
    rows = await town.process.rows(
        "SELECT t::text FROM blocks t UNION ALL SELECT t::text FROM block_proposals t "
        "UNION ALL SELECT t::text FROM catalogue_versions t"
    )
    values = (CARD.phone, CARD.card_no, CARD.id_no, "user-seven")
    assert not [value for value in values if value in repr(rows) or value.encode().hex() in repr(rows)]


# --- the file's ---

FILED = (
    BlockContent(CARD_NO, blocked_value(CARD_NO, CARD.card_no), "lost", NOW + timedelta(days=9)),
    BlockContent(USER, blocked_value(USER, "u7"), "asked us"),
)


async def test_a_file_again_changes_nothing_what_leaves_it_is_unblocked_and_what_people_added_stays(town: Town) -> None:
    report = await town.apply(*FILED)
    assert report.counts == {"blocks added": 2}
    assert "+ block acme: card_no 622202******2222" in [line for row in report.changes for line in row.lines()]
    assert not [line for row in report.changes for line in row.lines() if CARD.card_no in line]
    await town.put(blocked_value(PHONE, CARD.phone))
    assert not (await town.apply(*FILED)).changed
    assert (await town.apply(FILED[0])).counts == {"blocks removed": 1}
    assert {(block.kind, block.by_file) for block in await town.listed()} == {(CARD_NO, True), (PHONE, False)}
    assert await town.is_blocked(user_id="u9")


async def test_what_stands_in_the_file_too_is_the_files(town: Town) -> None:
    (entry,) = await town.put(blocked_value(USER, "u7"))
    assert (await town.apply(FILED[1])).counts == {"blocks changed": 1}
    assert await town.listed() == [replace(entry, by_file=True, reason="asked us")]
    await town.apply()
    assert await town.listed() == []


async def test_an_exported_list_has_prints_alone_and_changes_nothing(town: Town) -> None:
    await town.apply(*FILED)
    text = written(await town.catalogue.content(), BUSINESS_ZONE)
    assert CARD.card_no not in text
    assert "u7" not in text
    again = tuple(
        BlockContent(block.kind, None, block.reason, block.expires_at, block.print)
        for block in (await town.catalogue.content())[0].blocks
    )
    assert "# 622202******2222" in text
    assert not (await town.apply(*again)).changed
    with pytest.raises(CatalogueRefusedError, match="is of nothing in force"):
        await town.apply(replace(again[0], print=b"x" * 32))


async def test_a_file_with_values_needs_the_order_key(town: Town) -> None:
    keyless = CatalogueStore(town.engine, town.keys.ring)
    with pytest.raises(CatalogueRefusedError, match="SLUICE_ORDER_KEY"):
        await keyless.apply(CatalogueFile((replace(SHOP, blocks=FILED),)), "x", "y", NOW)


# --- proposals ---


async def proposed(town: Town, wanted: BlockedValue, at: timedelta = timedelta(), reason: str = "odd") -> bool:
    return await town.blocks.propose(MERCHANT_ID, wanted, reason=reason, by="a rule", now=NOW + at)


async def waiting(town: Town, state: ProposalState = ProposalState.PROPOSED) -> list[Any]:
    return await town.blocks.proposals(MERCHANT_ID, 10, state=state)


async def test_a_proposal_blocks_nothing_until_a_person_accepts_it(town: Town) -> None:
    assert await proposed(town, blocked_value(PHONE, CARD.phone))
    assert not await town.is_blocked()
    (proposal,) = await waiting(town)
    entry = await town.blocks.accept(MERCHANT_ID, proposal.proposal_id, by="ann", note="seen", expires_at=None, now=NOW)
    assert (entry.value, entry.reason, entry.added_by, entry.by_file) == ("138****8000", "odd", "ann", False)
    assert await town.is_blocked()
    assert await waiting(town) == []
    (change,) = await town.catalogue.history(1)
    assert (change.changed_by, change.note) == ("ann", "blocked as proposed by a rule: phone 138****8000: seen")
    with pytest.raises(NotInCatalogueError):
        await town.blocks.accept(MERCHANT_ID, proposal.proposal_id, by="bo", note="seen", expires_at=None, now=NOW)


async def test_what_waits_is_blocked_or_was_just_rejected_is_not_proposed_again(town: Town) -> None:
    phone, user = blocked_value(PHONE, CARD.phone), blocked_value(USER, "u1")
    assert sorted(await asyncio.gather(*(proposed(town, phone) for _ in range(3)))) == [False, False, True]
    (proposal,) = await waiting(town)
    rejected = await town.blocks.reject(MERCHANT_ID, proposal.proposal_id, by="ann", note="a shop's phone", now=NOW)
    assert (rejected.state, rejected.decided_by, rejected.note) == (ProposalState.REJECTED, "ann", "a shop's phone")
    assert await town.blocks.reject(MERCHANT_ID, proposal.proposal_id, by="bo", note="?", now=NOW) == rejected
    assert not await proposed(town, phone, REJECTED_FOR - timedelta(seconds=1))
    assert await proposed(town, phone, REJECTED_FOR, "odd again")
    assert [(each.reason, each.decided_by) for each in await waiting(town)] == [("odd again", None)]
    await town.put(user, expires_at=NOW + timedelta(days=1))
    assert not await proposed(town, user)
    assert await proposed(town, user, timedelta(days=1)), "its entry is over"


async def test_a_proposal_makes_no_version_of_the_catalogue(town: Town) -> None:
    version = await town.catalogue.version()
    await proposed(town, blocked_value(USER, "u1"))
    assert await town.catalogue.version() == version
    assert town.watch.current.blocks(MERCHANT_ID) == ()
