"""What is in flight of limits that count what others did, too: told by a refusal, so read only where one is in reach.

Totals say what is used, and not how much of it has no result yet. That is added up from the open payments and
recorded routes of a channel, of which there are never many, whatever was paid before.
"""

from collections.abc import Collection, Iterable
from datetime import date
from uuid import UUID

from gateway.domain.catalogue import Catalogue
from gateway.domain.orders import Order
from gateway.storage.server.database import Connection
from gateway.storage.writing.totals import UsedByAll

__all__ = ["READ_IN_FLIGHT", "limits_in_reach", "read_in_flight"]

READ_IN_FLIGHT = """
SELECT p.channel, c.number_print, sum(p.amount)::bigint FROM payments p
LEFT JOIN cards c ON c.merchant_id = $1 AND c.card_id = p.card_id AND c.number_print = ANY($4::bytea[])
WHERE p.merchant_id = $1 AND p.channel = ANY($2::text[]) AND p.business_day = $3
    AND (p.due_at IS NOT NULL OR p.until_at IS NOT NULL) AND p.status IN ('processing', 'requires_action')
GROUP BY p.channel, c.number_print
UNION ALL
SELECT r.channel, c.number_print, sum(r.amount)::bigint FROM routes r
LEFT JOIN cards c ON c.merchant_id = $1 AND c.card_id = r.card_id AND c.number_print = ANY($4::bytea[])
WHERE r.merchant_id = $1 AND r.channel = ANY($2::text[]) AND r.business_day = $3
    AND r.until_at IS NOT NULL AND r.status = 'open'
GROUP BY r.channel, c.number_print
"""


def limits_in_reach(
    catalogue: Catalogue, merchant_id: UUID, used: UsedByAll, asked: Iterable[tuple[Order, bytes | None]]
) -> set[str]:
    """The channels of which a limit that counts others could be exceeded by orders of one flush, by all of them
    together. Each order comes with the print of its card's number."""
    orders = list(asked)
    together = sum(order.amount for order, _ in orders)
    reached = set()
    for order, number_print in orders:
        for rule in catalogue.rules_for(merchant_id, order.scene, order.bank):
            total = catalogue.channels[merchant_id, rule.channel].limits.daily_total
            if total is not None and used.channels.get(rule.channel, 0) + together > total:
                reached.add(rule.channel)
            of_card = rule.limits.card_daily_limit
            if of_card is None or number_print is None:
                continue
            known = used.cards.get(number_print, {}).get(rule.channel)
            if (known.used if known else 0) + together > of_card:
                reached.add(rule.channel)
    return reached


async def read_in_flight(
    connection: Connection,
    merchant_id: UUID,
    day: date,
    used: UsedByAll,
    channels: Collection[str],
    number_prints: Collection[bytes],
) -> None:
    """Add to `used` what is in flight today, of these channels and of these card numbers there."""
    used.channels_in_flight.update(dict.fromkeys(channels, 0))
    used.cards_in_flight.update({(print_, channel): 0 for print_ in number_prints for channel in channels})
    found = await connection.fetch(READ_IN_FLIGHT, merchant_id, list(channels), day, list(number_prints))
    for channel, number_print, amount in found:
        used.channels_in_flight[channel] += amount
        if number_print is not None:
            used.cards_in_flight[bytes(number_print), channel] += amount
