"""Operators find payouts: by id, by order number, by what holds them, or the newest; each by an index."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.ids import ObjectKind
from gateway.domain.payouts import Payout, PayoutFilter
from gateway.storage.reading.search import searching
from gateway.storage.tables import apps, orders, payouts
from gateway.storage.writing.payouts import payout_of, payout_select

__all__ = ["PayoutSearch"]

_p, _o, _a = payouts.c, orders.c, apps.c


@dataclass(frozen=True, slots=True)
class PayoutSearch:
    """Finds payouts of every app of a merchant."""

    engine: AsyncEngine

    async def payouts(self, merchant_id: UUID, wanted: PayoutFilter) -> list[Payout]:
        """The payouts that fit all that is given, newest first. Raises SearchCutError."""
        found = payout_select().where(_p.merchant_id == merchant_id)
        if wanted.payout_id is not None:
            found = found.where(_p.payout_id == wanted.payout_id)
        if wanted.merchant_order_no is not None:
            # Apps are never deleted, so a number is found by a few reads of its key.
            its_order = and_(
                _o.merchant_id == merchant_id, _o.app == _a.code, _o.merchant_order_no == wanted.merchant_order_no
            )
            named = select(_o.object_id).select_from(apps.join(orders, its_order))
            of_payout = and_(_a.merchant_id == merchant_id, _o.object == ObjectKind.PAYOUT)
            found = found.where(_p.payout_id.in_(named.where(of_payout)))
        if wanted.status is not None:
            found = found.where(_p.status == wanted.status)
        if wanted.held_for is not None:
            found = found.where(_p.held_for.is_not(None), _p.held_for == wanted.held_for)
        if wanted.channel is not None:
            found = found.where(_p.channel == wanted.channel)
        if wanted.before is not None:
            found = found.where(_p.payout_id < wanted.before)
        async with searching(self.engine) as connection:
            rows = (await connection.execute(found.order_by(_p.payout_id.desc()).limit(wanted.limit))).mappings()
            return [payout_of(row) for row in rows]
