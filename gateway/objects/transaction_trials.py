"""What a transaction rule would have told: in the API and on the command line."""

from gateway.domain.ids import CARD, PREFIX_OF, ObjectKind, show
from gateway.domain.transaction_hits import Fired, WouldHaveFired
from gateway.objects.catalogue import Shown
from gateway.objects.times import timestamp

__all__ = ["trial_object"]


def trial_object(told: WouldHaveFired) -> Shown:
    """How often it would have fired, for how many keys, and the newest of these times: keys masked."""
    return {
        "object": "transaction_rule_trial",
        "times": told.times,
        "keys": told.keys,
        "data": [_firing(fired) for fired in told.newest],
    }


def _firing(fired: Fired) -> Shown:
    episode = fired.episode
    return {
        "value": fired.shown,
        "card": None if fired.card_id is None else show(CARD, fired.card_id),
        "since": timestamp(episode.starts_at),
        "until": timestamp(episode.ends_at),
        "count": episode.count,
        "sum": episode.sum,
        "objects": [show(PREFIX_OF[ObjectKind(kind)], object_id) for kind, object_id in episode.objects],
    }
