"""How payments, events, anomalies and timelines are shown: the words and forms that apps rely on.

Not tested here: that every answer is what the OpenAPI document says (tests/api, tests/storage), the catalogue's
(tests/storage/test_admin_calls.py).
"""

from datetime import timedelta
from uuid import UUID

import orjson

from gateway.domain.anomalies import RecordedAnomaly
from gateway.domain.events import DeadLetter, DeliveryStatus, EventType, RecordedDelivery, RecordedEvent
from gateway.domain.failures import FailureCode, failure
from gateway.domain.ids import ANOMALY, CARD, ENDPOINT, EVENT, PAYMENT, ObjectKind, show
from gateway.domain.payments import Payment, Status
from gateway.domain.scenes import Kind, Scene
from gateway.domain.timeline import (
    AnomalyFound,
    AnomalyResolved,
    AuthenticationFinished,
    AuthenticationStarted,
    ChannelSaid,
    Delivery,
    EventWritten,
    Happening,
    PaymentFinished,
    PaymentOpened,
    Routed,
    Submitted,
)
from gateway.domain.transitions import Anomaly, AnomalyKind
from gateway.objects.anomalies import anomaly_object
from gateway.objects.events import dead_letter_object, event_object, payment_event
from gateway.objects.payments import payment_object
from gateway.objects.timeline import timeline_object
from tests.unit.domain.samples import ATTEMPT_ID, NOW, PAYMENT_ID, attempt, payment

NOON = "2026-03-05T04:00:00.000Z"
DEAD = RecordedDelivery(UUID(int=8), DeliveryStatus.DEAD, 13, None, 500, "answered 500", None)

# --- payments ---


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


# --- events ---


def test_an_events_body_is_the_object_as_it_is_with_its_place_in_the_order() -> None:
    paid = payment(Status.SUCCEEDED)
    event = payment_event(paid, EventType.PAYMENT_SUCCEEDED, 1, UUID(int=9), NOW)
    assert orjson.loads(event.body) == {
        "id": show(EVENT, UUID(int=9)),
        "type": "payment.succeeded",
        "sequence": 1,
        "created_at": NOON,
        "data": orjson.loads(orjson.dumps(payment_object(paid))),
    }
    assert (event.app, event.object, event.object_id) == ("shop", ObjectKind.PAYMENT, PAYMENT_ID)


def test_an_anomaly_stands_beside_the_object() -> None:
    anomaly = Anomaly(AnomalyKind.LATE_SUCCESS, "paid at the channel, failed here")
    event = payment_event(payment(Status.FAILED), EventType.PAYMENT_ANOMALY, 2, UUID(int=9), NOW, anomaly)
    body = orjson.loads(event.body)
    assert body["anomaly"] == {"kind": "late_success", "detail": "paid at the channel, failed here"}
    assert body["data"]["status"] == "failed"


def test_the_same_event_has_the_same_bytes() -> None:
    def body(of: Payment) -> bytes:
        return payment_event(of, EventType.PAYMENT_FAILED, 1, UUID(int=9), NOW).body

    assert body(payment(Status.FAILED)) == body(payment(Status.FAILED))


def test_an_event_is_listed_with_its_body_and_its_deliveries() -> None:
    recorded = RecordedEvent(
        UUID(int=9), "payment.failed", ObjectKind.PAYMENT, PAYMENT_ID, 2, NOW, b'{"a":1}', deliveries=(DEAD,)
    )
    assert event_object(recorded) == {
        "id": show(EVENT, UUID(int=9)),
        "object": "event",
        "type": "payment.failed",
        "object_id": show(PAYMENT, PAYMENT_ID),
        "sequence": 2,
        "created_at": NOON,
        "body": {"a": 1},
        "deliveries": [
            {
                "endpoint": show(ENDPOINT, UUID(int=8)),
                "status": "dead",
                "tries": 13,
                "due_at": None,
                "last_status": 500,
                "last_error": "answered 500",
                "delivered_at": None,
            }
        ],
    }


def test_a_dead_letter_names_its_object_as_the_event_does() -> None:
    letter = DeadLetter(
        UUID(int=9), UUID(int=8), "main", None, "payment.failed", ObjectKind.PAYMENT, PAYMENT_ID, 1, NOW, 13, 500, None
    )
    shown = dead_letter_object(letter)
    assert (shown["event"], shown["object_id"]) == (show(EVENT, UUID(int=9)), show(PAYMENT, PAYMENT_ID))


def test_an_open_anomaly_is_shown_without_an_operators_word() -> None:
    found = RecordedAnomaly(UUID(int=9), PAYMENT_ID, "late_success", "paid", "poll", NOW, None, None, None)
    assert anomaly_object(found) == {
        "object": "anomaly",
        "id": show(ANOMALY, UUID(int=9)),
        "payment": show(PAYMENT, PAYMENT_ID),
        "kind": "late_success",
        "detail": "paid",
        "source": "poll",
        "found_at": NOON,
        "resolved_at": None,
        "resolved_by": None,
        "note": None,
    }


# --- timelines ---


def test_a_timeline_is_told_in_the_words_that_apps_know() -> None:
    refused = failure(FailureCode.CARD_LOST, channel_code="1")
    happened: list[Happening] = [
        PaymentOpened(NOW, Kind.WITHHOLD, Scene.WITHHOLD, 1000),
        Routed(NOW, "up", 5, None, None, 7),
        AuthenticationStarted(NOW, "up", 100),
        AuthenticationFinished(NOW, "up", "succeeded", None, "成功"),
        Submitted(NOW, "up", ATTEMPT_ID),
        ChannelSaid(NOW, "poll", "declined", "1", "挂失"),
        PaymentFinished(NOW, Status.FAILED, refused),
        PaymentFinished(NOW, Status.SUCCEEDED, None),
        AnomalyFound(NOW, "late_success", "paid", "callback"),
        AnomalyResolved(NOW, "late_success", "li", "refunded"),
        EventWritten(NOW, UUID(int=9), "payment.failed"),
        Delivery(NOW, UUID(int=9), DEAD),
    ]
    told = timeline_object(happened)
    assert {one.pop("at") for one in told} == {NOON}
    event, endpoint = show(EVENT, UUID(int=9)), show(ENDPOINT, UUID(int=8))
    assert told == [
        {"what": "payment_taken", "kind": "withhold", "scene": "withhold", "amount": 1000},
        {"what": "routed", "chosen": "up", "chosen_by_step": 5, "refusal": None, "refused_by_step": None,
         "config_version": 7},
        {"what": "authentication_started", "channel": "up", "fee": 100},
        {"what": "authentication_finished", "channel": "up", "status": "succeeded", "channel_code": None,
         "channel_message": "成功"},
        {"what": "submitted", "channel": "up", "channel_order_no": ATTEMPT_ID.hex},
        {"what": "channel_said", "source": "poll", "says": "declined", "channel_code": "1", "channel_message": "挂失"},
        {"what": "payment_finished", "status": "failed", "failure": "card_lost", "blame": "payer"},
        {"what": "payment_finished", "status": "succeeded"},
        {"what": "anomaly_found", "kind": "late_success", "detail": "paid", "source": "callback"},
        {"what": "anomaly_resolved", "kind": "late_success", "by": "li", "note": "refunded"},
        {"what": "event_written", "event": event, "type": "payment.failed"},
        {"what": "delivery_dead", "event": event, "endpoint": endpoint, "tries": 13, "due_at": None,
         "last_status": 500, "last_error": "answered 500"},
    ]  # fmt: skip
