"""How often a transaction rule would have fired on what is recorded: before somebody puts it in force."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from gateway.domain.blocks import BlockedValue, BlockKind
from gateway.domain.transaction_hits import Fired, WouldHaveFired, episodes
from gateway.domain.transaction_rules import RuleKey, TransactionRule
from gateway.ports.transactions import KeyShown, TransactionRows

__all__ = ["MAX_PERIOD", "MAX_SHOWN", "would_have_fired"]

MAX_PERIOD: Final = timedelta(days=31)
MAX_SHOWN: Final = 100
"""Firings that are listed, the newest; all are counted."""
PRINTED: Final = frozenset({RuleKey.CARD, RuleKey.PHONE, RuleKey.ID_NO})


async def would_have_fired(
    store: TransactionRows, merchant_id: UUID, rule: TransactionRule, since: datetime, until: datetime
) -> WouldHaveFired:
    """Every time from `since` until `until`. Raises RuleTooWideError: a shorter period, or a narrower filter helps."""
    by_key = await store.rows(merchant_id, rule, since - timedelta(seconds=rule.window_s), until)
    found = [
        (episode, key)
        for key, rows in by_key.items()
        for episode in episodes(rule, rows)
        if episode.ends_at > since and episode.starts_at <= until
    ]
    found.sort(key=lambda each: each[0].starts_at, reverse=True)
    newest, cards = list[Fired](), dict[str, KeyShown]()
    for episode, key in found[:MAX_SHOWN]:
        if rule.key in PRINTED:
            if key not in cards:
                cards[key] = await store.shown(merchant_id, rule, key)
            newest.append(Fired(cards[key].masked, cards[key].card_id, episode))
        else:
            shown = BlockedValue(BlockKind.USER, key).masked if rule.key is RuleKey.USER else key
            newest.append(Fired(shown, None, episode))
    return WouldHaveFired(len(found), len({key for _, key in found}), tuple(newest))
