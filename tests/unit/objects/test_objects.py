"""How payments, refunds, events, anomalies and timelines are shown: the words and forms that apps rely on.

Not tested here: that every answer is what the OpenAPI document says (tests/api, tests/storage), the catalogue's
(tests/storage/test_admin_calls.py).
"""

from dataclasses import replace
from uuid import UUID

import orjson
import pytest

from gateway.domain.anomalies import RecordedAnomaly
from gateway.domain.codes import Purpose
from gateway.domain.events import DeadLetter, DeliveryStatus, EventType, RecordedDelivery, RecordedEvent
from gateway.domain.failures import Advice, FailureCode, failure
from gateway.domain.hearing import Anomaly, AnomalyKind
from gateway.domain.ids import ANOMALY, CARD, ENDPOINT, EVENT, PAYMENT, REFUND, ObjectKind, show
from gateway.domain.intents import IntentState, Verb
from gateway.domain.outcomes import ReturnReason
from gateway.domain.payments import Payment
from gateway.domain.refunds import Refund
from gateway.domain.scenes import Kind, Scene
from gateway.domain.statuses import Status
from gateway.domain.timeline import (
    AnomalyFound,
    AnomalyResolved,
    AuthenticationFinished,
    AuthenticationStarted,
    ChannelSaid,
    CodeSubmitted,
    Delivery,
    EventWritten,
    Happening,
    PaymentFinished,
    PaymentOpened,
    RefundAsked,
    Routed,
    SmsAsked,
    Submitted,
    WaitedForAuthentication,
)
from gateway.objects.anomalies import anomaly_object
from gateway.objects.events import dead_letter_object, event_object, event_of
from gateway.objects.payments import payment_object
from gateway.objects.refunds import refund_object
from gateway.objects.timeline import timeline_object
from tests.unit.domain.samples import (
    NOW,
    PAYMENT_ID,
    REFUND_ID,
    attempt,
    intent,
    later,
    payment,
    refund,
    refused_payment,
    waiting_payment,
)

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


def test_the_advice_is_the_one_that_was_kept_with_the_failure_whatever_its_code_means_now() -> None:
    kept = replace(failure(FailureCode.INSUFFICIENT_BALANCE), advice=Advice.RETRY_LATER)
    assert payment_object(payment(Status.FAILED, failure=kept))["failure"]["advice"] == "retry_later"
    assert refund_object(refund(Status.FAILED, failure=kept))["failure"]["advice"] == "retry_later"


def test_a_payment_shows_times_in_utc_numbers_as_the_channel_has_them_and_a_masked_card() -> None:
    paid = payment(
        Status.SUCCEEDED,
        attempt=attempt(
            IntentState.DONE, channel_transaction_no="theirs-1", channel_finished_at=later(milliseconds=1500)
        ),
    )
    shown = payment_object(paid)
    assert shown["id"] == show(PAYMENT, PAYMENT_ID)
    assert shown["channel_order_no"] == PAYMENT_ID.hex
    assert shown["channel_transaction_no"] == "theirs-1"
    assert shown["created_at"] == "2026-03-05T04:00:00.000Z"
    assert shown["channel_finished_at"] == "2026-03-05T04:00:01.500Z"
    assert shown["business_day"] == "2026-03-05"
    assert paid.card is not None
    assert shown["card"] == {"id": show(CARD, paid.card.card_id), "masked": "622202******1234", "bank": "ICBC"}
    assert shown["failure"] is None
    orjson.dumps(shown)


def test_a_payment_shows_what_it_was_thought_to_cost_and_what_is_owed() -> None:
    def fees(of: Payment) -> tuple[object, ...]:
        shown = payment_object(of)
        return shown["expected_fee"], shown["fee"], shown["authentication_fee"]

    assert fees(payment()) == (50, None, None)
    assert fees(payment(Status.SUCCEEDED, authentication_fee=100)) == (50, 50, 100)
    assert fees(payment(Status.FAILED, authentication_fee=100)) == (50, None, 100)


def test_a_payment_shows_what_has_left_it() -> None:
    shown = payment_object(payment(Status.SUCCEEDED))
    assert (shown["refunded"], shown["settled"]) == (0, 0)
    shown = payment_object(payment(Status.SUCCEEDED, refunded=300, settled=700))
    assert (shown["refunded"], shown["settled"]) == (300, 700)


def test_a_payment_that_waits_for_an_authentication_has_its_number_and_nothing_of_theirs() -> None:
    shown = payment_object(waiting_payment())
    assert shown["channel_order_no"] == PAYMENT_ID.hex
    assert {shown["channel_transaction_no"], shown["channel_finished_at"]} == {None}


def test_a_payments_number_is_the_text_that_is_kept() -> None:
    # Of the first version's payments it is made from another id.
    assert payment_object(payment(channel_order_no="a1"))["channel_order_no"] == "a1"


def test_a_refused_payment_has_no_channel_and_no_number_there() -> None:
    shown = payment_object(refused_payment(card=None))
    nothing = "channel channel_order_no channel_transaction_no card fee expected_fee authentication_fee"
    assert {shown[key] for key in nothing.split()} == {None}


def test_whatever_a_verb_says_has_a_word_in_the_timeline() -> None:
    said = {
        verb: timeline_object([ChannelSaid(NOW, "answer", verb, PAYMENT_ID, "code_sent", None, None)])[0]["says"]
        for verb in Verb
        if verb is not Verb.UNBIND  # an errand: no observation is kept of it
    }
    assert len(set(said.values())) == len(said)
    assert (said[Verb.SEND_SIGNING_CODE], said[Verb.SEND_PAYMENT_CODE]) == ("signing_code_sent", "payment_code_sent")


def test_the_specifications_fields_are_all_there() -> None:
    fields = """id object kind merchant_order_no app scene user_id amount currency status channel channel_order_no
        channel_transaction_no card fee expected_fee authentication_fee failure next_action closed_reason
        created_at finished_at channel_finished_at business_day refunded settled metadata"""
    assert set(fields.split()) <= payment_object(payment()).keys()


# --- refunds ---


def test_a_refund_is_shown_with_its_payment_and_where_it_goes() -> None:
    back = refund(
        Status.SUCCEEDED,
        amount=300,
        reason="wrong size",
        intent=intent(
            Verb.REFUND, IntentState.DONE, channel_transaction_no="theirs-2", channel_finished_at=later(seconds=1)
        ),
    )
    assert refund_object(back) == {
        "id": show(REFUND, REFUND_ID),
        "object": "refund",
        "merchant_order_no": "refund-1",
        "app": "shop",
        "payment": show(PAYMENT, PAYMENT_ID),
        "user_id": "u1",
        "amount": 300,
        "currency": "CNY",
        "status": "succeeded",
        "reason": "wrong size",
        "channel": "up",
        "channel_order_no": REFUND_ID.hex,
        "channel_transaction_no": "theirs-2",
        "failure": None,
        "returned": None,
        "fee_returned": None,
        "created_at": NOON,
        "finished_at": "2026-03-05T04:00:01.000Z",
        "channel_finished_at": "2026-03-05T04:00:01.000Z",
        "business_day": "2026-03-05",
        "anomaly": None,
        "metadata": {},
    }


def test_a_refund_that_failed_or_came_back_says_why() -> None:
    failed = refund_object(refund(Status.FAILED), "zh")
    assert (failed["failure"]["code"], failed["failure"]["message"]) == ("channel_refused", "支付渠道拒绝了请求")
    returned = refund_object(refund(Status.RETURNED, returned=ReturnReason.BANK_REJECTED))
    assert (returned["status"], returned["failure"], returned["returned"]) == ("returned", None, "bank_rejected")
    orjson.dumps(returned)


# --- events ---


def test_an_events_body_is_the_object_as_it_is_with_its_place_in_the_order() -> None:
    paid = payment(Status.SUCCEEDED)
    event = event_of(paid, EventType.PAYMENT_SUCCEEDED, UUID(int=9), NOW)
    assert orjson.loads(event.body) == {
        "id": show(EVENT, UUID(int=9)),
        "type": "payment.succeeded",
        "sequence": 1,
        "created_at": NOON,
        "data": orjson.loads(orjson.dumps(payment_object(paid))),
    }
    assert (event.app, event.object, event.object_id) == ("shop", ObjectKind.PAYMENT, PAYMENT_ID)
    assert (event.type, event.sequence, event.created_at) == (EventType.PAYMENT_SUCCEEDED, 1, NOW)


def test_a_refunds_event_is_the_refund_as_it_is() -> None:
    back = refund(Status.RETURNED)
    event = event_of(back, EventType.REFUND_RETURNED, UUID(int=9), NOW)
    body = orjson.loads(event.body)
    assert (body["type"], body["sequence"]) == ("refund.returned", 2)
    assert body["data"] == orjson.loads(orjson.dumps(refund_object(back)))
    assert (event.app, event.object, event.object_id, event.sequence) == ("shop", ObjectKind.REFUND, REFUND_ID, 2)


def test_an_anomaly_stands_beside_the_object() -> None:
    anomaly = Anomaly(AnomalyKind.LATE_SUCCESS, "done at the channel, declined here")
    about: list[tuple[Payment | Refund, EventType]] = [
        (payment(Status.FAILED, sequence=2), EventType.PAYMENT_ANOMALY),
        (refund(Status.FAILED, sequence=2), EventType.REFUND_ANOMALY),
    ]
    for failed, event_type in about:
        body = orjson.loads(event_of(failed, event_type, UUID(int=9), NOW, anomaly).body)
        told = {
            "id": show(ANOMALY, UUID(int=9)),
            "kind": "late_success",
            "detail": "done at the channel, declined here",
        }
        assert body["anomaly"] == told
        assert (body["data"]["status"], body["sequence"]) == ("failed", 2)


def test_the_same_event_has_the_same_bytes() -> None:
    def body(of: Payment) -> bytes:
        return event_of(of, EventType.PAYMENT_FAILED, UUID(int=9), NOW).body

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
    found = RecordedAnomaly(UUID(int=9), ObjectKind.PAYMENT, PAYMENT_ID, "late_success", "paid", "poll", NOW)
    assert anomaly_object(found) == {
        "object": "anomaly",
        "id": show(ANOMALY, UUID(int=9)),
        "object_id": show(PAYMENT, PAYMENT_ID),
        "kind": "late_success",
        "detail": "paid",
        "source": "poll",
        "found_at": NOON,
        "resolved_at": None,
        "resolved_by": None,
        "note": None,
        "payment": show(PAYMENT, PAYMENT_ID),
        "channel_transaction_no": None,
        "resolution": None,
        "refund": None,
        "correction": None,
    }


def test_an_anomaly_of_a_refund_names_the_refund() -> None:
    found = RecordedAnomaly(
        UUID(int=9), ObjectKind.REFUND, REFUND_ID, "late_failure", "code 1", "operator", NOW,
        resolved_at=later(hours=1), resolved_by="li", note="ok",
    )  # fmt: skip
    shown = anomaly_object(found)
    assert (shown["object_id"], shown["source"]) == (show(REFUND, REFUND_ID), "operator")
    assert (shown["resolved_at"], shown["resolved_by"], shown["note"]) == ("2026-03-05T05:00:00.000Z", "li", "ok")


# --- timelines ---


@pytest.mark.parametrize("verb", Verb)
def test_whatever_is_said_of_any_verb_can_be_told(verb: Verb) -> None:
    [told] = timeline_object([ChannelSaid(NOW, "answer", verb, UUID(int=6), "declined", "1", "拒绝")])
    assert told["says"].endswith("declined")


def test_a_word_on_an_sms_says_what_the_code_was_for() -> None:
    words = [ChannelSaid(NOW, "answer", verb, UUID(int=6), says, None, None) for verb, says in (
        (Verb.SEND_SIGNING_CODE, "code_sent"), (Verb.SEND_PAYMENT_CODE, "unknown"))]  # fmt: skip
    assert [one["says"] for one in timeline_object(words)] == ["signing_code_sent", "payment_code_unknown"]


def test_a_timeline_is_told_in_the_words_that_apps_know() -> None:
    refused = failure(FailureCode.CARD_LOST, channel_code="1")
    happened: list[Happening] = [
        PaymentOpened(NOW, Kind.WITHHOLD, Scene.WITHHOLD, 1000),
        Routed(NOW, "up", 5, None, None, 7),
        AuthenticationStarted(NOW, "up", 100),
        AuthenticationFinished(NOW, "up", "succeeded", None, "成功"),
        WaitedForAuthentication(NOW, "up", UUID(int=7)),
        WaitedForAuthentication(NOW, "up", None),
        SmsAsked(NOW, "up", Purpose.SIGN),
        CodeSubmitted(NOW, "up"),
        Submitted(NOW, "up", PAYMENT_ID.hex),
        ChannelSaid(NOW, "answer", Verb.AUTHENTICATE, UUID(int=6), "authenticated", None, None),
        ChannelSaid(NOW, "poll", Verb.PAY, PAYMENT_ID, "declined", "1", "挂失"),
        ChannelSaid(NOW, "operator", Verb.REFUND, REFUND_ID, "returned", "R1", None, "li: 来函"),
        ChannelSaid(NOW, "callback", Verb.PAY, PAYMENT_ID, "succeeded", None, None, times=200, last_at=NOW),
        ChannelSaid(NOW, "poll", Verb.PAY, PAYMENT_ID, "not_found", "34", None, took_s=310),
        ChannelSaid(NOW, "poll", Verb.PAY, PAYMENT_ID, "succeeded", None, None, after_end_s=3600),
        RefundAsked(NOW, REFUND_ID, 300),
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
        {"what": "waited_for_authentication", "channel": "up", "started_by": show(PAYMENT, UUID(int=7))},
        {"what": "waited_for_authentication", "channel": "up", "started_by": None},
        {"what": "sms_asked", "channel": "up", "purpose": "sign"},
        {"what": "code_submitted", "channel": "up"},
        {"what": "submitted", "channel": "up", "channel_order_no": PAYMENT_ID.hex},
        {"what": "channel_said", "source": "answer", "says": "authentication_authenticated", "channel_code": None,
         "channel_message": None},
        {"what": "channel_said", "source": "poll", "says": "declined", "channel_code": "1", "channel_message": "挂失"},
        {"what": "channel_said", "source": "operator", "says": "refund_returned", "refund": show(REFUND, REFUND_ID),
         "channel_code": "R1", "channel_message": None, "note": "li: 来函"},
        {"what": "channel_said", "source": "callback", "says": "succeeded", "channel_code": None,
         "channel_message": None, "times": 200, "last_at": NOON},
        {"what": "channel_said", "source": "poll", "says": "not_found", "channel_code": "34", "channel_message": None,
         "took_s": 310},
        {"what": "channel_said", "source": "poll", "says": "succeeded", "channel_code": None, "channel_message": None,
         "after_end_s": 3600},
        {"what": "refund_asked", "refund": show(REFUND, REFUND_ID), "amount": 300},
        {"what": "payment_finished", "status": "failed", "failure": "card_lost", "blame": "payer"},
        {"what": "payment_finished", "status": "succeeded"},
        {"what": "anomaly_found", "kind": "late_success", "detail": "paid", "source": "callback"},
        {"what": "anomaly_resolved", "kind": "late_success", "by": "li", "note": "refunded"},
        {"what": "event_written", "event": event, "type": "payment.failed"},
        {"what": "delivery_dead", "event": event, "endpoint": endpoint, "tries": 13, "due_at": None,
         "last_status": 500, "last_error": "answered 500"},
    ]  # fmt: skip
