"""Ids, money, the payment object, the catalogue's lookups and the bodies of events.

Not tested here: masks and BINs (test_cards), states (test_transitions), reading a catalogue file.
"""

from datetime import timedelta
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.catalogue import ANY_BANK, AuthenticationMode, Catalogue, MaintenanceWindow
from gateway.domain.events import EVENT_OF_STATUS, EventType, payment_event
from gateway.domain.failures import MEANINGS, Blame, FailureCode, failure
from gateway.domain.ids import CARD, EVENT, PAYMENT, IdError, attempt_id_of, channel_order_no, read, show
from gateway.domain.money import yuan
from gateway.domain.payments import Payment, Status, payment_object
from gateway.domain.scenes import SCENES_OF, Scene
from gateway.domain.transitions import Anomaly, AnomalyKind
from tests.unit.domain.samples import (
    ATTEMPT_ID,
    BANK,
    MERCHANT_ID,
    NOW,
    PAYMENT_ID,
    attempt,
    catalogue,
    channel,
    endpoint,
    later,
    payment,
    rule,
)

# --- ids and money ---


@given(st.uuids())
def test_an_id_reads_as_what_was_shown(value: UUID) -> None:
    assert read(PAYMENT, show(PAYMENT, value)) == value
    assert attempt_id_of(channel_order_no(value)) == value


@pytest.mark.parametrize("text", ["", "pay_", "pay_1", "pay_!!", show(EVENT, PAYMENT_ID), str(PAYMENT_ID), "支付"])
def test_what_is_not_an_id_of_the_kind_is_refused(text: str) -> None:
    with pytest.raises(IdError):
        read(PAYMENT, text)


def test_a_channel_order_number_is_32_hex_digits() -> None:
    assert channel_order_no(ATTEMPT_ID) == "01890a5dac96774bbcceb302099a8058"


@pytest.mark.parametrize("number", ["", "1", "x" * 32, "{01890a5d-ac96-774b-bcce-b302099}", "0" * 33])
def test_a_number_that_cannot_be_ours_names_no_attempt(number: str) -> None:
    assert attempt_id_of(number) is None


@pytest.mark.parametrize(("fen", "shown"), [(0, "0.00"), (5, "0.05"), (128800, "1288.00"), (-101, "-1.01")])
def test_fen_are_written_as_yuan(fen: int, shown: str) -> None:
    assert yuan(fen) == shown


def test_every_scene_belongs_to_one_kind() -> None:
    assert sorted(scene for scenes in SCENES_OF.values() for scene in scenes) == sorted(Scene)


# --- the payment object ---


def test_a_payment_is_shown_with_its_failure_in_the_readers_language() -> None:
    failed = payment(
        Status.FAILED, failure=failure(FailureCode.INSUFFICIENT_BALANCE, channel_code="51", channel_message="余额不足")
    )
    wanted = {
        "code": "insufficient_balance",
        "blame": "payer",
        "message": "银行卡余额不足",
        "advice": "change_card",
        "channel_code": "51",
        "channel_message": "余额不足",
    }
    assert payment_object(failed, "zh")["failure"] == wanted
    assert payment_object(failed)["failure"] == wanted | {"message": "The card's balance is too low."}


def test_a_payment_shows_times_in_utc_numbers_as_the_channel_has_them_and_a_masked_card() -> None:
    paid = payment(
        Status.SUCCEEDED,
        attempt=attempt(channel_transaction_no="theirs-1", channel_finished_at=NOW + timedelta(milliseconds=1500)),
    )
    shown = payment_object(paid)
    assert shown["id"] == show(PAYMENT, PAYMENT_ID)
    assert shown["channel_order_no"] == ATTEMPT_ID.hex
    assert shown["channel_transaction_no"] == "theirs-1"
    assert shown["created_at"] == "2026-03-05T04:00:00.000Z"
    assert shown["channel_finished_at"] == "2026-03-05T04:00:01.500Z"
    assert shown["business_day"] == "2026-03-05"
    assert paid.card is not None
    assert shown["card"] == {"id": show(CARD, paid.card.card_id), "masked": "622202******1234", "bank": "ICBC"}
    assert shown["failure"] is None
    orjson.dumps(shown)


def test_a_refused_payment_has_no_channel_and_no_number_there() -> None:
    shown = payment_object(payment(Status.FAILED, stage=None, card=None))
    assert {shown[key] for key in ("channel", "channel_order_no", "channel_transaction_no", "card", "fee")} == {None}


def test_the_specifications_fields_are_all_there() -> None:
    fields = """id object kind merchant_order_no app scene user_id amount currency status channel channel_order_no
        channel_transaction_no card fee failure next_action created_at finished_at channel_finished_at business_day
        metadata"""
    assert set(fields.split()) <= payment_object(payment()).keys()


def test_every_failure_code_has_a_meaning_in_both_languages() -> None:
    assert MEANINGS.keys() == set(FailureCode)
    assert all(meaning.en and meaning.zh for meaning in MEANINGS.values())


def test_a_known_blame_wins_over_the_codes_own() -> None:
    assert failure(FailureCode.AUTHENTICATION_REJECTED).blame is Blame.PAYER
    assert failure(FailureCode.AUTHENTICATION_REJECTED, blame=Blame.CHANNEL).blame is Blame.CHANNEL


# --- events ---


def test_an_events_body_is_the_object_as_it_is_with_its_place_in_the_order() -> None:
    paid = payment(Status.SUCCEEDED)
    event = payment_event(paid, EventType.PAYMENT_SUCCEEDED, 1, UUID(int=9), NOW)
    assert orjson.loads(event.body) == {
        "id": show(EVENT, UUID(int=9)),
        "type": "payment.succeeded",
        "sequence": 1,
        "created_at": "2026-03-05T04:00:00.000Z",
        "data": orjson.loads(orjson.dumps(payment_object(paid))),
    }
    assert (event.app, event.object_id) == ("shop", show(PAYMENT, PAYMENT_ID))


def test_an_anomaly_stands_beside_the_object() -> None:
    anomaly = Anomaly(AnomalyKind.LATE_SUCCESS, "paid at the channel, failed here")
    event = payment_event(payment(Status.FAILED), EventType.PAYMENT_ANOMALY, 2, UUID(int=9), NOW, anomaly)
    body = orjson.loads(event.body)
    assert body["anomaly"] == {"kind": "late_success", "detail": "paid at the channel, failed here"}
    assert body["data"]["status"] == "failed"


def test_the_beginning_of_processing_is_not_told() -> None:
    assert Status.PROCESSING not in EVENT_OF_STATUS


def test_the_same_event_has_the_same_bytes() -> None:
    def body(of: Payment) -> bytes:
        return payment_event(of, EventType.PAYMENT_FAILED, 1, UUID(int=9), NOW).body

    assert body(payment(Status.FAILED)) == body(payment(Status.FAILED))


# --- the catalogue ---


def test_rules_are_found_by_scene_and_bank() -> None:
    known = catalogue((channel("up"), channel("tl")), (rule("up"), rule("tl"), rule("up", bank="ABC")))
    assert {r.channel for r in known.rules_for(MERCHANT_ID, Scene.WITHHOLD, BANK)} == {"up", "tl"}
    assert [r.channel for r in known.rules_for(MERCHANT_ID, Scene.WITHHOLD, "ABC")] == ["up"]
    assert known.rules_for(MERCHANT_ID, Scene.QUICK_CHARGE, BANK) == []
    assert known.rules_for(UUID(int=0xB), Scene.WITHHOLD, BANK) == []


@pytest.mark.parametrize(("second", "closed"), [(-1, False), (0, True), (59, True), (60, False)])
def test_a_maintenance_window_includes_its_start_and_not_its_end(second: int, closed: bool) -> None:
    window = MaintenanceWindow(MERCHANT_ID, UUID(int=1), "up", NOW, later(seconds=60))
    known = Catalogue(1, windows=(window,))
    assert known.in_maintenance(MERCHANT_ID, "up", later(seconds=second)) == closed
    assert not known.in_maintenance(MERCHANT_ID, "tl", NOW)


def test_a_channel_authenticates_a_bank_by_its_own_mode_or_that_of_any_bank() -> None:
    modes = {BANK: AuthenticationMode.SILENT, ANY_BANK: AuthenticationMode.NONE}
    assert channel("up", authentication=modes).mode(BANK) is AuthenticationMode.SILENT
    assert channel("up", authentication=modes).mode("ABC") is AuthenticationMode.NONE
    assert channel("up", authentication={BANK: AuthenticationMode.SILENT}).mode("ABC") is None


def test_an_event_goes_to_its_apps_endpoint_and_to_the_merchants_that_want_its_type() -> None:
    types = frozenset({"payment.failed"})
    endpoints = (
        endpoint(1, "shop"),
        endpoint(2, "other"),
        endpoint(3, None, types),
        endpoint(4, None),
        endpoint(5, "shop", stopped=True),
        endpoint(6, "shop", types),
    )
    known = catalogue((), (), endpoints)

    def to(app: str | None, event_type: str) -> list[int]:
        return [e.endpoint_id.int for e in known.endpoints_for(MERCHANT_ID, app, event_type)]

    assert to("shop", "payment.succeeded") == [1, 4]
    assert to("shop", "payment.failed") == [1, 3, 4, 6]
    assert to(None, "channel.degraded") == [4]
    assert known.endpoints_for(UUID(int=0xB), "shop", "payment.failed") == []


def test_totals_are_read_only_where_a_limit_asks_for_them() -> None:
    assert not catalogue((channel("up"),), (rule("up"),)).has_totals(MERCHANT_ID)
    assert catalogue((channel("up", daily_total=1),), (rule("up"),)).has_totals(MERCHANT_ID)
    assert catalogue((channel("up"),), (rule("up", card_daily_limit=1),)).has_totals(MERCHANT_ID)


def test_a_callbacks_account_is_named_by_merchant_and_account() -> None:
    known = catalogue((channel("up"),), ())
    found = known.account_of_callback("acme.up-1")
    assert found is not None
    assert found.code == "up-1"
    for name in ("", "acme", "acme.", "acme.tl-1", "other.up-1", ".up-1"):
        assert known.account_of_callback(name) is None
