"""Transaction rules on a real server: each of the six samples finds its planted pattern among a healthy day, and
nothing in the day itself; what is told, for how long, and by whom; what is too wide.

The healthy day has 5,000 payments here and 50,000 in `make hunt`.
Not here: how files say rules (tests/unit), the arithmetic of windows (tests/unit/domain/test_transaction_hits.py).
"""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.ids import CARD, PAYMENT, PAYOUT, show
from gateway.domain.transaction_rules import RuleKey, TransactionFilter, TransactionRule
from gateway.flows.would_have_fired import would_have_fired
from gateway.ports.transactions import RuleTooWideError
from gateway.storage.server.engine import create_engine
from gateway.storage.watching.rule_rows import ids_from
from gateway.storage.watching.transactions import KEYS_AT_ONCE
from gateway.watch.transactions import EVERY, LASTS, MAX_HITS
from tests.storage.transaction_world import (
    MERCHANT,
    NOW,
    SAMPLES,
    USERS,
    World,
    fill,
    healthy_day,
    new_world,
    plant,
    samples,
)


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    return await new_world(engine)


async def test_nothing_is_told_of_a_healthy_day_and_each_planted_pattern_is(world: World) -> None:
    await healthy_day(world)
    assert tuple(sorted(samples())) == SAMPLES
    for rule in samples().values():
        told = await would_have_fired(world.store, MERCHANT, rule, NOW - timedelta(days=1), NOW)
        assert (rule.code, told.times) == (rule.code, 0)
    await world.do("INSERT INTO transaction_looks VALUES (:m, :at)", m=MERCHANT, at=NOW - timedelta(days=1))
    await world.process().look()  # of the whole day, as after a night without a process
    assert await world.told() == []

    world.now += timedelta(minutes=10)
    for rule_code in SAMPLES:
        await plant(world, rule_code)
    await world.look()
    told_now = await world.told()
    assert sorted(alert.detail["rule"] for alert in told_now) == list(SAMPLES)
    for rule in samples().values():
        found = await would_have_fired(world.store, MERCHANT, rule, NOW - timedelta(days=1), world.now)
        assert (rule.code, found.times, found.keys) == (rule.code, 1, 1)


@pytest.mark.parametrize("rule", SAMPLES)
async def test_a_planted_pattern_is_found_by_its_rule_alone_and_told_once_by_whoever_looks(
    world: World, rule: str
) -> None:
    await plant(world, rule)
    await world.look()
    await world.look()
    (alert,) = await world.told()
    assert (alert.detail["rule"], alert.times) == (rule, 1)
    assert len(await world.proposed()) == (samples()[rule].then == "propose_block")


async def test_an_alert_shows_a_phone_by_our_card_id_and_a_user_masked_and_nothing_of_either(world: World) -> None:
    await plant(world, "phone_many_cards")
    await plant(world, "declines")
    await world.look()
    declines, phone = sorted(await world.told(), key=lambda alert: alert.detail["rule"])
    assert phone.detail["value"].startswith("phone of 622202******")
    assert phone.detail["card"].startswith(f"{CARD}_")
    assert phone.detail["count"] == 4
    assert declines.detail["value"] == "t****r"
    assert "tester" not in f"{declines}"
    assert all(each.startswith(f"{PAYMENT}_") for each in declines.detail["objects"])
    (proposal,) = await world.proposed()
    assert (proposal.kind, proposal.proposed_by) == ("phone", "transaction_rules")
    assert proposal.reason == "transaction rule phone_many_cards: 4 within 604800 s"


async def test_an_alert_lasts_as_long_as_there_are_too_many_and_is_raised_anew(world: World) -> None:
    card = await world.card("tester", "1")
    for n in range(5):
        await world.pay("tester", card, status="failed", at=NOW - timedelta(seconds=10 * n))
    await world.look()
    (first,) = await world.told()
    await world.look(timedelta(minutes=5))
    assert [alert.alert_id for alert in await world.told()] == [first.alert_id]
    await world.look(LASTS)
    assert await world.told() == []
    for _ in range(5):
        await world.pay("tester", card, status="failed")
    await world.look()
    (again,) = await world.told()
    assert again.alert_id != first.alert_id


async def test_four_declines_are_not_five_and_a_late_failure_of_an_old_payment_is_seen(world: World) -> None:
    card = await world.card("tester", "1")
    for n in range(4):
        await world.pay("tester", card, status="failed", at=NOW - timedelta(minutes=20, seconds=n))
    late = await world.pay("tester", card, status="processing", at=NOW - timedelta(minutes=19))
    await world.look()
    await world.look(timedelta(minutes=3))
    assert await world.told() == []
    await world.do(
        "UPDATE payments SET status = 'failed', failure_code = 'card_declined', failure_blame = 'payer', due_at = NULL,"
        " finished_at = :now WHERE payment_id = :id", now=world.now, id=late,
    )  # fmt: skip
    await world.do(
        "INSERT INTO intents (merchant_id, object_id, verb, ordinal, intent_id, channel, account, number, told_at,"
        " recorded_at, amount, state, questions, acknowledged, not_found, late_success, looks,"
        " ended_at) VALUES (:m, :id,"
        " 'pay', 1, :id, 'up', 'up-1', 'x', :at, :at, 1000, 'declined', 0, true, 0, false, 0, :now)",
        m=MERCHANT, id=late, at=NOW - timedelta(minutes=19), now=world.now,
    )  # fmt: skip
    await world.look()
    (alert,) = await world.told()
    assert show(PAYMENT, late) in alert.detail["objects"]


async def test_a_payout_before_the_charge_is_no_charge_then_payout(world: World) -> None:
    card = await world.card("borrower", "777777")
    await world.pay_out("777777", 300_000, at=NOW - timedelta(minutes=9))
    await world.pay("borrower", card, amount=300_000, at=NOW - timedelta(minutes=2))
    await world.look()
    assert await world.told() == []
    paid_out = await world.pay_out("777777", 299_000)
    await world.look()
    (alert,) = await world.told()
    assert show(PAYOUT, paid_out) in alert.detail["objects"]


async def test_a_rule_that_matches_everything_is_told_itself_and_hides_no_other(world: World) -> None:
    everything = TransactionRule("everything", "all", RuleKey.USER, 60, at_least=1)
    world.rules = (everything, samples()["declines"])
    await plant(world, "declines")
    await healthy_day(world)
    await world.do("INSERT INTO transaction_looks VALUES (:m, :at)", m=MERCHANT, at=world.now - timedelta(hours=2))
    await world.look()
    by_about = {alert.about: alert for alert in await world.told()}
    assert "too_wide" in by_about["everything"].detail
    assert f"more than {MAX_HITS} have too many at once" in by_about["everything"].detail["too_wide"]
    assert len(by_about) == 2
    world.rules = (samples()["declines"],)
    await world.look()
    assert [alert.detail["rule"] for alert in await world.told()] == ["declines"]


async def test_a_rule_whose_rows_take_too_long_is_too_wide(world: World, database_url: str) -> None:
    await healthy_day(world)
    hasty = create_engine(database_url, 1).execution_options(isolation_level="AUTOCOMMIT")
    try:
        async with hasty.connect() as connection:  # the only one
            await connection.execute(text("SET statement_timeout = 2"))
        store = replace(world.store, reads=hasty)
        with pytest.raises(RuleTooWideError, match="take longer to read"):
            await would_have_fired(store, MERCHANT, samples()["phone_many_cards"], NOW - timedelta(days=7), NOW)
    finally:
        await hasty.dispose()


# More of them than are looked at of one key: the same payment again and again, under other numbers.
FLOOD = """
INSERT INTO payments (merchant_id, payment_id, app, merchant_order_no, kind, scene, user_id, card_id, bank, amount,
    currency, status, channel, account, channel_order_no, metadata, customer_present, sequence, created_at, finished_at,
    business_day, failure_code, failure_blame)
SELECT merchant_id, CAST($2 || lpad(to_hex(n), 19, '0') AS uuid), app, 'f-' || n, kind, scene, user_id, card_id, bank,
    amount, currency, status, channel, account, 'f-' || n, metadata, customer_present, sequence, created_at,
    finished_at, business_day, failure_code, failure_blame
FROM payments, generate_series(1, 6000) n WHERE merchant_id = $1
"""


async def test_a_flood_of_one_user_hides_nobody_and_is_told_once(world: World) -> None:
    card = await world.card("flood", "1")
    await world.pay("flood", card, status="failed", at=NOW)
    await fill(world.engine, (FLOOD, MERCHANT, ids_from(NOW).hex[:13]))
    await plant(world, "declines")
    await world.look()
    assert len(await world.told()) == 2


async def test_one_process_looks_at_a_time_and_a_rule_that_left_is_told_no_more(world: World) -> None:
    await plant(world, "declines")
    assert (await world.store.claim(MERCHANT, world.now, timedelta(minutes=5)))[0]
    await world.process().look()
    assert await world.told() == []
    await world.store.looked(MERCHANT, world.now - timedelta(minutes=15), world.now)
    await world.look()
    assert len(await world.told()) == 1
    world.rules = (TransactionRule("other", "other", RuleKey.APP, 60, at_least=900, filter=TransactionFilter()),)
    await world.look()
    assert await world.told() == []


async def test_a_process_whose_clock_is_late_leaves_the_look_to_others_and_nothing_is_missed(world: World) -> None:
    await world.look()
    world.now += timedelta(minutes=10)
    await plant(world, "declines")
    world.now -= timedelta(hours=1)
    await world.process().look()
    assert await world.told() == []
    world.now += timedelta(hours=1)
    await world.look()
    assert len(await world.told()) == 1


async def test_after_a_restart_everything_stands_as_before_and_is_told_no_second_time(world: World) -> None:
    staying = world.process()
    for rule in SAMPLES:
        await plant(world, rule)
    world.now += EVERY
    await staying.look()
    told, hits = await world.told(), await world.store.hits(MERCHANT)
    assert len(told) == len(hits) == len(SAMPLES)
    await staying.close()
    await world.look()  # a new process
    assert (await world.told(), await world.store.hits(MERCHANT)) == (told, hits)
    assert len(await world.proposed()) == 2


async def test_a_look_reads_once_what_was_touched_and_no_rows_of_keys_that_know_too_few_cards(world: World) -> None:
    await healthy_day(world)
    await world.do("INSERT INTO transaction_looks VALUES (:m, :at)", m=MERCHANT, at=NOW - timedelta(days=1))
    asked: list[str] = []

    def note(_: object, __: object, sql: str, *___: object) -> None:
        asked.append(sql)

    event.listen(world.engine.sync_engine, "before_cursor_execute", note)
    try:
        await world.look()
    finally:
        event.remove(world.engine.sync_engine, "before_cursor_execute", note)
    assert len([sql for sql in asked if "AS touched" in sql]) == len(SAMPLES)
    # Of those that must look at rows: payouts of cards that paid, declines, amounts near a limit. Never all the pages.
    of_cards = [rule for rule in samples().values() if rule.distinct in ("cards", "users")]
    pages = -(-USERS // KEYS_AT_ONCE)
    assert len([sql for sql in asked if "enough AS" in sql]) <= (len(SAMPLES) - len(of_cards)) * pages
