"""A decision in plain sentences, for the person who is asked why a payment took this channel."""

from collections.abc import Sequence
from datetime import UTC

from router.ailing import Ailing
from router.decision import Decision, Seen
from router.facts import Candidate, LastAttempt
from router.reasons import Hidden, Refusal, yuan
from router.rules import LIMITS, Offer, counted_last_attempt

_HIDDEN = {
    Hidden.RULE_DISABLED: "its rule is disabled",
    Hidden.CHANNEL_OFF: "the channel is switched off",
    Hidden.IN_MAINTENANCE: "the channel is in maintenance",
    Hidden.ACCOUNT_UNUSABLE: "the settings of its account cannot be used",
    Hidden.BANK_UNSUPPORTED: "the channel does not take cards of this bank",
    Hidden.NAME_UNWRITABLE: "the channel cannot write the holder's name",
    Hidden.ID_TYPE_UNSUPPORTED: "the channel does not take this kind of ID",
    Hidden.NEEDS_SIGNING: "the card is not signed there and cannot be signed there now",
    Hidden.SIGNING_IN_PROGRESS: "the card is just being signed by another payment",
    Hidden.CHANNEL_FULL: "it carries as many calls as it can",
    Hidden.CHANNEL_SWITCHED_OFF: "it is switched off since too few payments succeed there",
    Hidden.CHANNEL_AILING: "too few payments succeed there",
}

_BLOCKED = {"user": "the user", "card_no": "the card number", "id_no": "the ID number", "phone": "the phone"}


def explain(decision: Decision) -> list[str]:
    """One sentence for each step that did something, in the order of the steps; the last one tells the outcome."""
    if decision.refusal == Refusal.BLOCKED:
        return [f"Step 0: refused before routing, the merchant's block list has {_blocked(decision.request.blocked)}."]
    told = [_step_1(decision)]
    if decision.refused_by_step in (2, 3, 4):
        told.append(_refused_whole(decision))
    elif decision.refused_by_step != 1:
        told.append(_step_5(decision))
    if decision.chosen_by_step is not None and decision.chosen_by_step > 5:
        told.append(_step_6(decision))
        told.append(_step_7_to_9(decision))
    return [sentence for sentence in told if sentence]


def _blocked(kinds: Sequence[str]) -> str:
    return " and ".join(_BLOCKED.get(kind, f"the {kind}") for kind in kinds)


def _step_1(decision: Decision) -> str:
    request = decision.request
    if not decision.trace:
        return f"Step 1: refused, no channel has a rule for {request.scene} with bank {request.bank}."
    hidden = [seen for seen in decision.trace if seen.removed_by_step == 1]
    left_out = "; ".join(f"{seen.channel}, {_why_hidden(decision, seen)}" for seen in hidden)
    if decision.refused_by_step != 1:
        told = ([f"left out {left_out}"] if hidden else []) + _kept_though_ailing(decision)
        return f"Step 1: {'; '.join(told)}." if told else ""
    if decision.wants_room:
        return f"Step 1: refused, what is left is full just now. Left out {left_out}."
    if decision.refusal == Refusal.SIGNING_IN_PROGRESS:
        return f"Step 1: refused, the card is just being signed. Left out {left_out}."
    if decision.refusal == Refusal.CARD_NEEDS_SIGNING:
        return f"Step 1: refused, the card has to be signed first. Left out {left_out}."
    return f"Step 1: refused, no channel is available. Left out {left_out}."


def _why_hidden(decision: Decision, seen: Seen) -> str:
    why = Hidden(str(seen.reason))
    ailing = _ailing(decision, seen.channel)
    return f"{_HIDDEN[why]} ({ailing.says()})" if ailing is not None and why == ailing.reason else _HIDDEN[why]


def _kept_though_ailing(decision: Decision) -> list[str]:
    told = []
    for seen in decision.trace:
        ailing = _ailing(decision, seen.channel)
        if ailing is not None and seen.removed_by_step != 1:
            why = "this payment is let through" if ailing.passes else "nothing better is available"
            told.append(f"kept {seen.channel} though {_HIDDEN[ailing.reason]} ({ailing.says()}), {why}")
    return told


def _ailing(decision: Decision, channel: str) -> Ailing | None:
    return next(each.ailing for each in decision.candidates if each.channel == channel)


def _refused_whole(decision: Decision) -> str:
    step = f"Step {decision.refused_by_step}: refused,"
    if decision.refusal == Refusal.SINGLE_LIMIT_EXCEEDED:
        largest = yuan(decision.max_single_limit)
        return (
            f"{step} {yuan(decision.request.amount)} is above the largest single limit of any available channel, "
            f"{largest}."
        )
    return (
        f"{step} every available channel is over the same limit. {_limits_failed(decision, decision.refused_by_step)}."
    )


def _step_5(decision: Decision) -> str:
    dropped = _limits_failed(decision, 5)
    if decision.refusal == Refusal.NO_ELIGIBLE_CHANNEL:
        return f"Step 5: refused, each channel is over a limit of its own. {dropped}."
    if decision.chosen_by_step == 5:
        fee = yuan(decision.fee)
        only = f"{decision.chosen} is chosen, it is the only one left; its fee is {fee}"
        return f"Step 5: {only}. {dropped}." if dropped else f"Step 5: {only}."
    return f"Step 5: {dropped}." if dropped else ""


def _step_6(decision: Decision) -> str:
    return "Step 6: ranked by fee: " + ", ".join(_ranked(decision, seen) for seen in decision.ranked) + "."


def _ranked(decision: Decision, seen: Seen) -> str:
    to_bind = decision.to_authenticate(seen.channel)
    if seen.compared != seen.fee:
        spread = decision.request.authentication_spread
        return f"{seen.channel} {yuan(seen.compared)} (its fee {yuan(seen.fee)} and 1/{spread} of {yuan(to_bind)})"
    if to_bind and decision.request.authentication_spread is None:
        return f"{seen.channel} {yuan(seen.fee)} (authenticating the card, {yuan(to_bind)}, is not compared)"
    return f"{seen.channel} {yuan(seen.fee)}"


def _step_7_to_9(decision: Decision) -> str:
    best, second = (seen.channel for seen in decision.ranked[:2])
    step = decision.chosen_by_step
    best_last = counted_last_attempt(decision.facts[best], decision.request)
    if step == 7:
        why = "has no earlier attempt there that counts" if best_last is None else "last succeeded there"
        return f"Step 7: {best} is chosen, the user {why}."
    if step == 8:
        return f"Step 8: {best} is chosen, the user's last attempt there failed, but by the payer's fault."
    failed = f"the user's last attempt on {best} {_how_it_failed(best_last)}"
    if decision.chosen == best:
        second_last = counted_last_attempt(decision.facts[second], decision.request)
        so_did = f"so did the one on {second} ({_blame(second_last)})"
        if _is_unresolved(best_last) or _is_unresolved(second_last):
            so_did = f"the one on {second} {_how_it_failed(second_last)}"
        return f"Step 9: {best} is chosen, {failed}, and {so_did}."
    return f"Step 9: {second} is chosen instead of {best}, {failed}."


def _is_unresolved(last: LastAttempt | None) -> bool:
    return last is not None and last.unresolved_since is not None


def _how_it_failed(last: LastAttempt | None) -> str:
    if last is None or last.unresolved_since is None:
        return f"failed ({_blame(last)})"
    since = last.unresolved_since.astimezone(UTC).isoformat(timespec="seconds")
    return f"has had no result since {since} and counts as failed (blame: channel)"


def _blame(last: LastAttempt | None) -> str:
    return "blame unknown" if last is None or last.blame is None else f"blame: {last.blame}"


def _limits_failed(decision: Decision, step: int | None) -> str:
    by_channel = {candidate.channel: candidate for candidate in decision.candidates}
    return "; ".join(
        f"{seen.channel} {_limit(seen, by_channel[seen.channel], decision)}"
        for seen in decision.trace
        if seen.removed_by_step == step
    )


def _limit(seen: Seen, rule: Candidate, decision: Decision) -> str:
    offer = Offer(rule, decision.facts[seen.channel], seen.fee, seen.compared)
    # Limits may share a refusal: the one that is exceeded is told.
    of_refusal = [limit for limit in LIMITS if limit.refusal == seen.reason]
    exceeded = [limit for limit in of_refusal if not limit.fits(offer, decision.request.amount)]
    return (exceeded or of_refusal)[0].says(rule, offer.facts)
