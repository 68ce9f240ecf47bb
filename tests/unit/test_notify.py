"""Signing, the retry schedule, and what follows from an endpoint's answer.

Not tested here: sending (tests/workers) and the rows of deliveries (tests/storage).
"""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from gateway.domain.events import DeliveryStatus
from gateway.domain.ids import EVENT, read
from gateway.flows.notify import (
    RETRY_AFTER_MAX,
    SCHEDULE,
    TRIES_MAX,
    Answer,
    Dead,
    Delivered,
    DueDelivery,
    NoAnswer,
    Reply,
    RetryAt,
    SecretError,
    StopEndpoint,
    Verdict,
    new_secret,
    on_hold,
    read_retry_after,
    read_secret,
    result_of,
    signed_headers,
    verdict,
)

NOW = datetime(2026, 3, 5, 4, 0, tzinfo=UTC)
EVENT_ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
BODY = '{"id":"evt_1","data":{"description":"代扣 ✓"}}'.encode()
OLD, NEW, STRANGE = (new_secret(bytes([fill]) * 32) for fill in (1, 2, 3))


def after(**duration: float) -> RetryAt:
    return RetryAt(NOW + timedelta(**duration))


# --- verdicts ---


@pytest.mark.parametrize(
    ("reply", "tries", "expected"),
    [
        (Answer(200), 1, Delivered()),
        (Answer(204), TRIES_MAX, Delivered()),
        (Answer(299), 1, Delivered()),
        (Answer(101), 1, after(seconds=5)),
        (Answer(301), 1, after(seconds=5)),
        (Answer(304), 1, after(seconds=5)),
        (Answer(400), 1, after(seconds=5)),
        (Answer(404), 2, after(seconds=30)),
        (Answer(410), 1, StopEndpoint()),
        (Answer(410), TRIES_MAX, StopEndpoint()),
        (Answer(429), 1, after(seconds=5)),
        (Answer(429, "120"), 1, after(seconds=120)),
        (Answer(503, "120"), 4, after(minutes=10)),
        (Answer(503, "0"), 1, after(seconds=5)),
        (Answer(503, "Thu, 05 Mar 2026 05:00:00 GMT"), 1, after(hours=1)),
        (Answer(503, "999999999"), 1, after(hours=24)),
        (Answer(503, "3600"), TRIES_MAX, Dead()),
        (Answer(500), TRIES_MAX - 1, after(hours=24)),
        (Answer(500), TRIES_MAX, Dead()),
        (NoAnswer("refused"), 1, after(seconds=5)),
        (NoAnswer("refused"), TRIES_MAX, Dead()),
    ],
)
def test_what_follows_from_a_reply(reply: Reply, tries: int, expected: Verdict) -> None:
    assert verdict(reply, tries, NOW, jitter=0.0) == expected


def test_the_schedule_is_the_one_we_publish() -> None:
    hours = [5 / 3600, 30 / 3600, 2 / 60, 10 / 60, 0.5, 1, 2, 4, 8, 16, 24, 24]
    waits = []
    for tries in range(1, TRIES_MAX):
        decided = verdict(Answer(500), tries, NOW, jitter=0.0)
        assert isinstance(decided, RetryAt)
        waits.append(decided.at - NOW)
    assert waits == [timedelta(hours=wait) for wait in hours]


@given(st.integers(1, TRIES_MAX - 1), st.floats(0, 1, exclude_max=True), st.none() | st.text(max_size=80))
def test_no_retry_is_sooner_than_the_schedule_or_later_than_a_fifth_above_the_cap(
    tries: int, jitter: float, retry_after: str | None
) -> None:
    decided = verdict(Answer(503, retry_after), tries, NOW, jitter)
    assert isinstance(decided, RetryAt)
    assert SCHEDULE[tries - 1] <= decided.at - NOW <= RETRY_AFTER_MAX * 1.2


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        (None, timedelta(0)),
        ("", timedelta(0)),
        ("7", timedelta(seconds=7)),
        (" 7 ", timedelta(seconds=7)),
        ("-7", timedelta(0)),
        ("7.5", timedelta(0)),
        ("७", timedelta(0)),
        ("9" * 64, RETRY_AFTER_MAX),
        ("9" * 5000, timedelta(0)),
        ("soon", timedelta(0)),
        ("Thu, 05 Mar 2026 04:00:30 GMT", timedelta(seconds=30)),
        ("Thu, 05 Mar 2026 04:00:30 -0000", timedelta(seconds=30)),
        ("Thu, 05 Mar 2026 03:59:00 GMT", timedelta(0)),
        ("Thu, 05 Mar 2099 04:00:00 GMT", RETRY_AFTER_MAX),
        ("Thu, 99 Mar 2026 04:00:00 GMT", timedelta(0)),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, wait: timedelta) -> None:
    assert read_retry_after(text, NOW) == wait


# --- results ---


def due(tries: int = 0) -> DueDelivery:
    return DueDelivery(UUID(int=1), EVENT_ID, UUID(int=2), tries, BODY, NOW + timedelta(seconds=60))


@pytest.mark.parametrize(
    ("reply", "tries", "status", "last_error"),
    [
        (Answer(200), 0, DeliveryStatus.DELIVERED, None),
        (Answer(500), 0, DeliveryStatus.PENDING, "answered 500"),
        (Answer(500), TRIES_MAX - 1, DeliveryStatus.DEAD, "answered 500"),
        (Answer(410), 0, DeliveryStatus.HELD, "answered 410: the endpoint is stopped"),
        (NoAnswer("no answer within 10 s"), 0, DeliveryStatus.PENDING, "no answer within 10 s"),
    ],
)
def test_a_result_counts_the_try_and_says_how_it_ended(
    reply: Reply, tries: int, status: DeliveryStatus, last_error: str | None
) -> None:
    result = result_of(due(tries), reply, verdict(reply, tries + 1, NOW, 0.0), NOW)
    assert (result.status, result.tries, result.last_error) == (status, tries + 1, last_error)
    assert result.last_status == (reply.status if isinstance(reply, Answer) else None)
    assert (result.due_at is not None) == (status is DeliveryStatus.PENDING)
    assert (result.delivered_at is not None) == (status is DeliveryStatus.DELIVERED)


def test_what_is_for_a_stopped_endpoint_is_held_and_no_try_is_counted() -> None:
    result = on_hold(due(3), "the endpoint is stopped")
    assert (result.status, result.tries, result.last_error) == (DeliveryStatus.HELD, 3, "the endpoint is stopped")


# --- signing, verified by the public library (which reads the wall clock, so these sign as of now) ---


def sign(*secrets: str) -> dict[str, str]:
    return signed_headers(secrets, EVENT_ID, datetime.now(UTC), BODY)


def test_a_receiver_verifies_what_was_signed() -> None:
    headers = sign(NEW)
    assert Webhook(NEW).verify(BODY, headers)["id"] == "evt_1"
    assert read(EVENT, headers["webhook-id"]) == EVENT_ID


@pytest.mark.parametrize("known", [OLD, NEW])
def test_while_a_secret_is_rotated_receivers_with_either_one_verify(known: str) -> None:
    headers = sign(NEW, OLD)
    Webhook(known).verify(BODY, headers)
    assert len(headers["webhook-signature"].split(" ")) == 2


@pytest.mark.parametrize(
    ("secret", "body", "changed"),
    [
        (STRANGE, BODY, {}),
        (NEW, BODY + b" ", {}),
        (NEW, BODY, {"webhook-id": "evt_other"}),
        (NEW, BODY, {"webhook-timestamp": str(int(datetime.now(UTC).timestamp()) + 1)}),
    ],
    ids=["another secret", "another body", "another id", "another time"],
)
def test_a_receiver_refuses_anything_else(secret: str, body: bytes, changed: dict[str, str]) -> None:
    headers = signed_headers([NEW], EVENT_ID, datetime.now(UTC) - timedelta(seconds=10), BODY) | changed
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers)


def test_the_timestamp_is_in_whole_seconds() -> None:
    assert signed_headers([NEW], EVENT_ID, NOW.replace(microsecond=999_999), BODY)["webhook-timestamp"] == str(
        int(NOW.timestamp())
    )


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=8)), timezone(timedelta(hours=-5, minutes=-30))])
@pytest.mark.parametrize("secrets", [[NEW], [NEW, OLD]])
def test_the_headers_are_byte_by_byte_what_the_specification_says(secrets: list[str], zone: timezone) -> None:
    """By hand, not by the library: the same bytes whoever signs, in whatever zone the process tells the time."""
    webhook_id, timestamp = "evt_01h455vb4pex5vsknk084sn02q", "1772683200"

    def signature(secret: str) -> str:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = hmac.new(key, f"{webhook_id}.{timestamp}.".encode() + BODY, hashlib.sha256).digest()
        return "v1," + base64.b64encode(signed).decode()

    assert signed_headers(secrets, EVENT_ID, NOW.astimezone(zone), BODY) == {
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signature(secret) for secret in secrets),
    }


@pytest.mark.parametrize("secrets", [[], [NEW, OLD, STRANGE]])
def test_one_or_two_secrets_sign(secrets: list[str]) -> None:
    with pytest.raises(SecretError, match="1 to 2"):
        signed_headers(secrets, EVENT_ID, NOW, BODY)


def encoded(length: int) -> str:
    return base64.b64encode(bytes(length)).decode()


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", encoded(32), "whsec_不", "whsec_a", "whsec_" + encoded(23), "whsec_" + encoded(65)],
)
def test_a_secret_that_is_not_one_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(SecretError) as caught:
        read_secret(secret)
    assert not secret.removeprefix("whsec_") or secret not in str(caught.value)


@pytest.mark.parametrize("length", [24, 64])
def test_a_new_secret_is_read_back(length: int) -> None:
    assert read_secret(new_secret(bytes(length))) == bytes(length)


def test_a_new_secret_needs_enough_entropy() -> None:
    with pytest.raises(SecretError):
        new_secret(bytes(16))


def test_nothing_secret_is_in_a_representation() -> None:
    assert "代扣" not in repr(due())
    assert str(BODY) not in repr(due())
