"""What is told of channels: the alert, and with it, in one transaction, the event to the endpoints that want it.

Whoever comes second changes no alert, and so tells nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from gateway.domain.alerts import AlertKind, Severity
from gateway.domain.catalogue import Catalogue
from gateway.domain.events import EventType
from gateway.domain.ids import ObjectKind, channel_id
from gateway.domain.rates import Change, Counted
from gateway.objects.events import merchant_event
from gateway.storage.merchant_events import count_told, next_sequences, write_events
from gateway.storage.server.database import Connection, Database
from gateway.storage.watching.alerts import CLEAR, RAISE

__all__ = ["ChannelAlertStore"]

KIND: Final = AlertKind.CHANNEL_DEGRADED


@dataclass(frozen=True, slots=True)
class ChannelAlertStore:
    """Implements `watch.channels.Telling`."""

    database: Database
    catalogue: Callable[[], Catalogue]
    new_id: Callable[[], UUID]

    async def change(
        self, merchant_id: UUID, what: Counted, change: Change, shown: Mapping[str, Any], now: datetime
    ) -> bool:
        """Tell that it is degraded, or well again; whether that is new."""
        async with self.database.transaction() as connection:
            if change is Change.DEGRADED:
                kind = EventType.CHANNEL_DEGRADED
                told = await self._raise(connection, merchant_id, what, shown, now)
            else:
                kind = EventType.CHANNEL_RESTORED
                told = bool(await connection.fetch(CLEAR, merchant_id, KIND.value, str(what), now))
            if not told:
                return False
            code = what.channel
            [number] = await next_sequences(connection, merchant_id, ObjectKind.CHANNEL, code)
            channel = channel_id(merchant_id, code)
            event = merchant_event(merchant_id, kind, ObjectKind.CHANNEL, channel, number, self.new_id(), now, shown)
            await write_events(connection, [event], self.catalogue())
        count_told([event])
        return True

    async def _raise(
        self, connection: Connection, merchant_id: UUID, what: Counted, shown: Mapping[str, Any], now: datetime
    ) -> bool:
        alert_id, detail = self.new_id(), orjson.dumps(dict(shown)).decode()
        place = (merchant_id, alert_id, KIND.value, str(what))
        return bool(await connection.fetchval(RAISE, *place, Severity.CRITICAL.value, detail, now) == alert_id)
