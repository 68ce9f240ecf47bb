"""The router: which channel carries a payment, by nine steps, as a value that can be stored and made again.

Pure rules live here and import nothing else of ours. No I/O, clock, settings or storage: facts come in as values.
"""

from router.ailing import Ailing
from router.decide import decide, replay
from router.decision import Decision, Seen
from router.explain import explain
from router.facts import Blame, Candidate, ChannelFacts, LastAttempt, RouteRequest, Signing, or_unresolved
from router.fees import Fee, FeeError, FixedFee, PercentFee, Tier, TieredFee, fee_for, fee_to_json, parse_fee
from router.left import Told, ToldLimit
from router.limits import ChannelLimits, RuleLimits
from router.reasons import Hidden, Refusal
from router.record import RecordError, from_record, to_answer, to_record

__all__ = [
    "Ailing",
    "Blame",
    "Candidate",
    "ChannelFacts",
    "ChannelLimits",
    "Decision",
    "Fee",
    "FeeError",
    "FixedFee",
    "Hidden",
    "LastAttempt",
    "PercentFee",
    "RecordError",
    "Refusal",
    "RouteRequest",
    "RuleLimits",
    "Seen",
    "Signing",
    "Tier",
    "TieredFee",
    "Told",
    "ToldLimit",
    "decide",
    "explain",
    "fee_for",
    "fee_to_json",
    "from_record",
    "or_unresolved",
    "parse_fee",
    "replay",
    "to_answer",
    "to_record",
]
