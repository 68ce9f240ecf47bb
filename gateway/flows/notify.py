"""Telling apps and merchants: how a delivery is signed, when it is tried again, and when it is given up.

Signing is Standard Webhooks 1.0.0 (github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md), done by
its own library; when to send and when to give up is ours. Pure: time and chance come in as values.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import assert_never
from uuid import UUID

from standardwebhooks import Webhook

from gateway.domain.events import DeliveryStatus
from gateway.domain.ids import EVENT, show

SECRET_PREFIX = "whsec_"  # noqa: S105 -- the public prefix of every secret, not one
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64
"""How long a key is, by the Standard Webhooks specification."""
LIVE_SECRETS_MAX = 2
"""Two while one is rotated; more would only make the header longer."""

SCHEDULE = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800, 57_600, 86_400, 86_400)
)
"""How long to wait after the first failed try, the second, ...; the try after the last of them is the last one."""
TRIES_MAX = len(SCHEDULE) + 1
JITTER_SHARE = 0.2
"""Waits are longer by up to this share, so that what failed together does not come back together."""
RETRY_AFTER_MAX = timedelta(hours=24)
RETRY_AFTER_CHARACTERS_MAX = 64

LEASE = timedelta(seconds=60)
"""How long whoever claimed a delivery, or wrote it and hands it over, may keep it from the others."""

GONE = 410
FIRST_SUCCESS, FIRST_FAILURE = 200, 300


class SecretError(ValueError):
    """An endpoint's secret that cannot sign. The message never tells the secret."""


# --- deliveries, as storage and the worker pass them to each other ---


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """A delivery that is this process's to send until `lease_until`; `tries` is how many were made before.

    Without a lease it is nobody's, and waits to be claimed. `tries` and `lease_until` are as they stand in the row:
    together they prove, when the result is recorded, that nobody else has had the delivery since.
    `held`: its endpoint is stopped, so it is written and not sent.
    """

    merchant_id: UUID
    event_id: UUID
    endpoint_id: UUID
    tries: int
    body: bytes = field(repr=False)
    lease_until: datetime | None
    held: bool = False


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """What became of a due delivery: what to write into its row, if it is still the sender's."""

    due: DueDelivery
    status: DeliveryStatus
    tries: int
    due_at: datetime | None
    delivered_at: datetime | None
    last_status: int | None
    last_error: str | None


# --- what an endpoint said, and what follows from it ---


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: its status and its Retry-After header as it came."""

    status: int
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No answer was read, or nothing was sent; `error` tells why, without the URL."""

    error: str


Reply = Answer | NoAnswer


@dataclass(frozen=True, slots=True)
class Delivered:
    """Any 2xx: the endpoint has it."""


@dataclass(frozen=True, slots=True)
class RetryAt:
    """It failed; the next try is due then."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Dead:
    """The last try failed: a person must look, and may send it again."""


@dataclass(frozen=True, slots=True)
class StopEndpoint:
    """The endpoint answered 410 Gone: nothing is to be sent to it until an operator or a new URL starts it."""


Verdict = Delivered | RetryAt | Dead | StopEndpoint


def verdict(reply: Reply, tries: int, now: datetime, jitter: float, *, stale: bool = False) -> Verdict:
    """What follows from the reply to try number `tries` (the first is 1); `jitter` is in [0, 1).

    Redirects are failures, as every status but 2xx is. Retry-After is honoured on any failure, when it asks for later
    than the schedule: an endpoint may slow us down, not speed us up. It is cut at 24 hours, and jitter comes on top.
    `stale`: the endpoint has another URL by now, or was started since; then 410 is a failure like others.
    """
    if isinstance(reply, Answer):
        if FIRST_SUCCESS <= reply.status < FIRST_FAILURE:
            return Delivered()
        if reply.status == GONE and not stale:
            return StopEndpoint()
    if tries >= TRIES_MAX:
        return Dead()
    asked = read_retry_after(reply.retry_after, now) if isinstance(reply, Answer) else timedelta(0)
    wait = max(SCHEDULE[tries - 1], asked)
    return RetryAt(now + wait * (1 + JITTER_SHARE * jitter))


def read_retry_after(text: str | None, now: datetime) -> timedelta:
    """How long a Retry-After header asks to wait (RFC 9110, 10.2.3: seconds or a date), from 0 to 24 hours."""
    if text is None or len(text) > RETRY_AFTER_CHARACTERS_MAX:
        return timedelta(0)
    text = text.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text), RETRY_AFTER_MAX.total_seconds()))
    try:
        at = parsedate_to_datetime(text)
        wait = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    except (ValueError, OverflowError):
        return timedelta(0)
    return min(max(wait, timedelta(0)), RETRY_AFTER_MAX)


def result_of(due: DueDelivery, reply: Reply, decided: Verdict, now: datetime) -> DeliveryResult:
    """What to write into the row after one more try."""
    tries = due.tries + 1
    status, error = (reply.status, None) if isinstance(reply, Answer) else (None, reply.error)
    match decided:
        case Delivered():
            return DeliveryResult(due, DeliveryStatus.DELIVERED, tries, None, now, status, None)
        case RetryAt(at):
            return DeliveryResult(due, DeliveryStatus.PENDING, tries, at, None, status, error or f"answered {status}")
        case Dead():
            return DeliveryResult(due, DeliveryStatus.DEAD, tries, None, None, status, error or f"answered {status}")
        case StopEndpoint():
            reason = f"answered {GONE}: the endpoint is stopped"
            return DeliveryResult(due, DeliveryStatus.HELD, tries, None, None, status, reason)
        case never:
            assert_never(never)


def on_hold(due: DueDelivery, reason: str) -> DeliveryResult:
    """What to write when its endpoint is stopped before it is sent: it is held, and no try is counted."""
    return DeliveryResult(due, DeliveryStatus.HELD, due.tries, None, None, None, reason)


# --- signing ---


def new_secret(entropy: bytes) -> str:
    """A secret as people see it, from 24 to 64 random bytes. Raises SecretError for another number of them."""
    if not SECRET_BYTES_MIN <= len(entropy) <= SECRET_BYTES_MAX:
        raise SecretError(f"a webhook secret has {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes")
    return SECRET_PREFIX + base64.b64encode(entropy).decode()


def read_secret(secret: str) -> bytes:
    """The key in a secret. Raises SecretError when it is not `whsec_` and base64 of 24 to 64 bytes."""
    if not secret.startswith(SECRET_PREFIX):
        raise SecretError(f"a webhook secret begins with {SECRET_PREFIX}")
    try:
        key = base64.b64decode(secret[len(SECRET_PREFIX) :], validate=True)
    except (binascii.Error, ValueError):
        raise SecretError(f"what follows {SECRET_PREFIX} must be base64") from None
    if not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
        raise SecretError(f"a webhook secret has {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes")
    return key


def signed_headers(secrets: Sequence[str], event_id: UUID, now: datetime, body: bytes) -> dict[str, str]:
    """The headers of one try, signed with every live secret, the newest first. Raises SecretError.

    The id is the event's, the same on every try, so that a receiver can tell a repetition; the timestamp (whole
    seconds) is the try's, so that receivers may refuse what is old.
    """
    if not 1 <= len(secrets) <= LIVE_SECRETS_MAX:
        raise SecretError(f"an endpoint has 1 to {LIVE_SECRETS_MAX} live secrets")
    # The library takes the clock's figures for UTC, whatever zone the time names.
    webhook_id, at, text = show(EVENT, event_id), now.astimezone(UTC), body.decode()
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(at.timestamp())),
        # Not given the secret's text: the library would read it leniently.
        "webhook-signature": " ".join(Webhook(read_secret(s)).sign(webhook_id, at, text) for s in secrets),
    }
