"""How what happened to a payment is shown: `{at, what, …}`; the other fields depend on `what`."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, assert_never

from gateway.domain.ids import ENDPOINT, EVENT, PAYMENT, REFUND, show
from gateway.domain.intents import Verb
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
from gateway.objects.times import timestamp

__all__ = ["timeline_object"]


def timeline_object(happened: Iterable[Happening]) -> list[dict[str, Any]]:
    """A timeline, in the order that it is given in."""
    return [{"at": timestamp(one.at)} | _told(one) for one in happened]


def _told(one: Happening) -> dict[str, Any]:
    match one:
        case PaymentOpened():
            # The word that apps know it by.
            return {"what": "payment_taken", "kind": one.kind, "scene": one.scene, "amount": one.amount}
        case Routed():
            return {
                "what": "routed",
                "chosen": one.chosen,
                "chosen_by_step": one.chosen_by_step,
                "refusal": one.refusal,
                "refused_by_step": one.refused_by_step,
                "config_version": one.config_version,
            }
        case AuthenticationStarted():
            return {"what": "authentication_started", "channel": one.channel, "fee": one.fee}
        case AuthenticationFinished():
            return {"what": "authentication_finished", "channel": one.channel, "status": one.status} | _words(one)
        case Submitted():
            return {"what": "submitted", "channel": one.channel, "channel_order_no": one.number}
        case SmsAsked():
            return {"what": "sms_asked", "channel": one.channel, "purpose": one.purpose}
        case CodeSubmitted():
            return {"what": "code_submitted", "channel": one.channel}
        case WaitedForAuthentication():
            started_by = show(PAYMENT, one.payment_id) if one.payment_id else None
            return {"what": "waited_for_authentication", "channel": one.channel, "started_by": started_by}
        case RefundAsked():
            return {"what": "refund_asked", "refund": show(REFUND, one.refund_id), "amount": one.amount}
        case ChannelSaid():
            refund = {"refund": show(REFUND, one.object_id)} if one.verb is Verb.REFUND else {}
            note = {"note": one.note} if one.note is not None else {}
            again = {"times": one.times, "last_at": timestamp(one.last_at)} if one.times > 1 else {}
            took = {"took_s": one.took_s} if one.took_s is not None else {}
            late = {"after_end_s": one.after_end_s} if one.after_end_s is not None else {}
            said = {"what": "channel_said", "source": one.source, "says": _said(one)} | refund | _words(one)
            return said | note | again | took | late
        case PaymentFinished():
            why = {"failure": one.failure.code, "blame": one.failure.blame} if one.failure else {}
            return {"what": "payment_finished", "status": one.status} | why
        case AnomalyFound():
            return {"what": "anomaly_found", "kind": one.kind, "detail": one.detail, "source": one.source}
        case AnomalyResolved():
            return {"what": "anomaly_resolved", "kind": one.kind, "by": one.by, "note": one.note}
        case EventWritten():
            return {"what": "event_written", "event": show(EVENT, one.event_id), "type": one.type}
        case Delivery():
            return _delivery(one)
        case never:
            assert_never(never)


def _delivery(one: Delivery) -> dict[str, Any]:
    return {
        "what": f"delivery_{one.stands.status}",
        "event": show(EVENT, one.event_id),
        "endpoint": show(ENDPOINT, one.stands.endpoint_id),
        "tries": one.stands.tries,
        "due_at": timestamp(one.stands.due_at),
        "last_status": one.stands.last_status,
        "last_error": one.stands.last_error,
    }


def _said(one: ChannelSaid) -> str:
    """What apps know it by: of the payment itself the word alone."""
    return _SAID_OF[one.verb] + (one.says.removeprefix("code_") if one.verb in _OF_SMS else one.says)


_OF_SMS: Final = frozenset({Verb.SEND_SIGNING_CODE, Verb.SEND_PAYMENT_CODE})
_SAID_OF: Final[Mapping[Verb, str]] = {
    Verb.PAY: "",
    Verb.AUTHENTICATE: "authentication_",
    Verb.REFUND: "refund_",
    Verb.PAYOUT: "payout_",
    Verb.SEND_SIGNING_CODE: "signing_code_",
    Verb.SEND_PAYMENT_CODE: "payment_code_",
    Verb.UNBIND: "unbinding_",
}


def _words(one: AuthenticationFinished | ChannelSaid) -> dict[str, Any]:
    return {"channel_code": one.channel_code, "channel_message": one.channel_message}
