"""A decision as JSON: the record stored with its payment, and the answer of `/v1/routes`.

The record is compact (what is at its default is left out) and whole: the decision can be made again from it alone.
New records are of format 2; those of format 1 are read by `router.record_1`.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, Final

from router import record_1
from router.ailing import Ailing, ailing_from_json, ailing_to_json
from router.decision import Decision, Seen
from router.facts import Candidate, ChannelFacts, LastAttempt, RouteRequest
from router.fees import fee_to_json, parse_fee
from router.left import ToldLimit
from router.limits import ChannelLimits, RuleLimits
from router.reasons import Refusal

RECORD_FORMAT: Final = 2
"""Raised when the form of the record changes, so that old payments stay readable."""

_MICROSECOND: Final = timedelta(microseconds=1)
_NESTED: Final = frozenset({"limits", "channel_limits", "ailing"})
_CANDIDATE_DEFAULTS: Final = tuple(
    (f.name, f.default) for f in fields(Candidate) if f.default is not MISSING and f.name not in _NESTED
)
_FACTS_DEFAULTS: Final = tuple((f.name, f.default) for f in fields(ChannelFacts) if f.name != "last_attempt")
_ANSWER_FIELDS: Final = (
    "chosen",
    "chosen_by_step",
    "refusal",
    "refused_by_step",
    "max_single_limit",
    "fee",
    "saved_against_next",
)
_CandidateReader = Callable[[Mapping[str, Any], RouteRequest], Candidate]
_SEEN_DEFAULTS: Final = (("removed_by_step", None), ("reason", None), ("rank", None))


class RecordError(ValueError):
    """A stored decision that cannot be read: of another format, or damaged."""


def to_record(decision: Decision) -> dict[str, object]:
    """What is stored with the payment. `fee` and `saved_against_next` are there for reports; reading ignores them."""
    record: dict[str, object] = {
        "format": RECORD_FORMAT,
        "config_version": decision.config_version,
        "request": _request_to_json(decision.request),
        "candidates": [_candidate_to_json(candidate) for candidate in decision.candidates],
        "trace": [_seen_to_json(seen) for seen in decision.trace],
    }
    facts = {channel: told for channel, known in decision.facts.items() if (told := _facts_to_json(known))}
    if facts:
        record["facts"] = facts
    for name in _ANSWER_FIELDS:
        value = getattr(decision, name)
        if value is not None:
            record[name] = value.value if isinstance(value, Refusal) else value
    return record


def from_record(record: Mapping[str, Any]) -> Decision:
    """The decision as it was made then, not made again (that is `replay`). Raises RecordError."""
    try:
        if record["format"] not in _CANDIDATE_READERS:
            raise RecordError(f"the decision record is of format {record['format']}, which is not known here")
        return _decision_from_json(record, _CANDIDATE_READERS[record["format"]])
    except RecordError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordError(f"the decision record is damaged ({type(error).__name__})") from error


def to_answer(decision: Decision) -> dict[str, object]:
    """The answer of `/v1/routes`, every field present."""
    told = decision.told
    ailing = {candidate.channel: candidate.ailing for candidate in decision.candidates}
    return {
        "chosen": decision.chosen,
        "refusal": None if decision.refusal is None else decision.refusal.value,
        "chosen_by_step": decision.chosen_by_step,
        "refused_by_step": decision.refused_by_step,
        "max_single_limit": decision.max_single_limit,
        "limit": None if told is None else limit_to_json(told.limit),
        "max_amount_now": None if told is None else told.max_amount_now,
        "candidates": [
            {
                "channel": seen.channel,
                "removed_by_step": seen.removed_by_step,
                "reason": None if seen.reason is None else str(seen.reason),
                "limit": None if (limit := decision.limit_of(seen)) is None else limit_to_json(limit),
                "fee": seen.fee,
                "authentication_share": _share_to_json(decision.share(seen.channel)),
                "compared": seen.compared,
                "rank": seen.rank,
                "ailing": _ailing_shown(ailing[seen.channel], seen),
            }
            for seen in decision.trace
        ],
        "config_version": decision.config_version,
    }


def limit_to_json(limit: ToldLimit) -> dict[str, object]:
    """A limit as refusals tell it."""
    return {"kind": limit.kind, "limit": limit.limit, "left": limit.left, "in_flight": limit.in_flight}


def _unless_default(value: object, defaults: tuple[tuple[str, Any], ...]) -> dict[str, object]:
    return {name: told for name, default in defaults if (told := getattr(value, name)) != default}


def _request_to_json(request: RouteRequest) -> dict[str, object]:
    told: dict[str, object] = {
        "user_id": request.user_id,
        "scene": request.scene,
        "bank": request.bank,
        "amount": request.amount,
        "now": _time_to_json(request.now),
    }
    if request.customer_present:
        told["customer_present"] = True
    if request.authentication_spread is not None:
        told["authentication_spread"] = request.authentication_spread
    if request.blocked:
        told["blocked"] = list(request.blocked)
    if request.last_attempt_max_age is not None:
        told["last_attempt_max_age_us"] = request.last_attempt_max_age // _MICROSECOND
    return told


def _candidate_to_json(candidate: Candidate) -> dict[str, object]:
    # Scene and bank are the request's: others are not of the decision.
    told = _unless_default(candidate, _CANDIDATE_DEFAULTS)
    told["channel"] = candidate.channel
    told["fee"] = fee_to_json(candidate.fee)
    if limits := candidate.limits.to_json():
        told["limits"] = limits
    if channel_limits := candidate.channel_limits.to_json():
        told["channel_limits"] = channel_limits
    if candidate.ailing is not None:
        told["ailing"] = ailing_to_json(candidate.ailing)
    return told


def _facts_to_json(facts: ChannelFacts) -> dict[str, object]:
    told = _unless_default(facts, _FACTS_DEFAULTS)
    last = facts.last_attempt
    if last is not None:
        attempt: dict[str, object] = {"status": last.status}
        if last.blame is not None:
            attempt["blame"] = last.blame
        if last.finished_at is not None:
            attempt["finished_at"] = _time_to_json(last.finished_at)
        if last.unresolved_since is not None:
            attempt["unresolved_since"] = _time_to_json(last.unresolved_since)
        told["last_attempt"] = attempt
    return told


def _seen_to_json(seen: Seen) -> dict[str, object]:
    told: dict[str, object] = {"channel": seen.channel, "fee": seen.fee}
    if seen.removed_by_step is not None:
        told["removed_by_step"] = seen.removed_by_step
    if seen.reason is not None:
        told["reason"] = str(seen.reason)
    if seen.rank is not None:
        told["rank"] = seen.rank
    if seen.compared != seen.fee:
        told["compared"] = seen.compared
    return told


def _share_to_json(share: Fraction) -> int | str:
    """Whole fen as a number; what is not whole stays exact, as a fraction in text (`100/3`)."""
    return int(share) if share.denominator == 1 else str(share)


def _ailing_shown(ailing: Ailing | None, seen: Seen) -> dict[str, object] | None:
    """What is known of an ailing channel. `kept`: why it was not left out for that."""
    if ailing is None:
        return None
    hidden = seen.removed_by_step == 1
    return {
        "succeeded": ailing.succeeded,
        "attempts": ailing.attempts,
        "rate_percent": ailing.rate_percent,
        "window_s": ailing.window_s,
        "let_through": ailing.let_through,
        "switched_off": ailing.switched_off,
        "kept": None if hidden else "let_through" if ailing.passes else "last_available",
    }


def _time_to_json(time: datetime) -> str:
    return time.astimezone(UTC).isoformat()


def _decision_from_json(record: Mapping[str, Any], candidate_from_json: _CandidateReader) -> Decision:
    request = _request_from_json(record["request"])
    candidates = tuple(candidate_from_json(told, request) for told in record["candidates"])
    facts = record.get("facts", {})
    refusal = record.get("refusal")
    return Decision(
        chosen=record.get("chosen"),
        refusal=None if refusal is None else Refusal(refusal),
        chosen_by_step=record.get("chosen_by_step"),
        refused_by_step=record.get("refused_by_step"),
        max_single_limit=record.get("max_single_limit"),
        trace=tuple(Seen(**{**dict(_SEEN_DEFAULTS), "compared": told["fee"], **told}) for told in record["trace"]),
        config_version=record["config_version"],
        request=request,
        candidates=candidates,
        facts={c.channel: _facts_from_json(facts.get(c.channel, {})) for c in candidates},
    )


def _request_from_json(told: Mapping[str, Any]) -> RouteRequest:
    max_age_us = told.get("last_attempt_max_age_us")
    return RouteRequest(
        user_id=told["user_id"],
        scene=told["scene"],
        bank=told["bank"],
        amount=told["amount"],
        now=datetime.fromisoformat(told["now"]),
        customer_present=told.get("customer_present", False),
        last_attempt_max_age=None if max_age_us is None else max_age_us * _MICROSECOND,
        authentication_spread=told.get("authentication_spread"),
        blocked=tuple(told.get("blocked", ())),
    )


def _candidate_from_json(told: Mapping[str, Any], request: RouteRequest) -> Candidate:
    of_request = {"scene": request.scene, "bank": request.bank, "fee": parse_fee(told["fee"])}
    limits = RuleLimits.from_json(told.get("limits", {}))
    channel_limits = ChannelLimits.from_json(told.get("channel_limits", {}))
    known = {"limits": limits, "channel_limits": channel_limits, "ailing": ailing_from_json(told.get("ailing"))}
    return Candidate(**{**told, **of_request, **known})


def _facts_from_json(told: Mapping[str, Any]) -> ChannelFacts:
    last = told.get("last_attempt")
    return ChannelFacts(**{**told, "last_attempt": None if last is None else _attempt_from_json(last)})


def _attempt_from_json(told: Mapping[str, Any]) -> LastAttempt:
    return LastAttempt(
        status=told["status"],
        blame=told.get("blame"),
        finished_at=_time_from_json(told.get("finished_at")),
        unresolved_since=_time_from_json(told.get("unresolved_since")),
    )


def _time_from_json(told: str | None) -> datetime | None:
    return None if told is None else datetime.fromisoformat(told)


_CANDIDATE_READERS: Final[Mapping[int, _CandidateReader]] = {
    record_1.FORMAT: record_1.candidate_from_json,
    RECORD_FORMAT: _candidate_from_json,
}
