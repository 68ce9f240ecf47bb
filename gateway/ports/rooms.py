"""Room: how much a process has in its hands at once, so that whatever is slow stops only itself."""

from collections.abc import Collection
from typing import Protocol
from uuid import UUID

from gateway.ports.books import OverloadedError

__all__ = ["ChannelFullError", "Rooms"]

RETRY_AFTER_S = 2


class ChannelFullError(OverloadedError):
    """The channel that would carry the order has no place free. Nothing was recorded."""

    def __init__(self, channel: str) -> None:
        super().__init__(RETRY_AFTER_S)
        self.channel = channel


class Rooms(Protocol):
    """What a process has in its hands is bounded over all, for each merchant, and by the places of each channel.

    An order is in hand from `enter` to `exit`. What is to be sent holds a place of its channel from before it is
    recorded until it is done with its PSP; `holder` is the id of its object, and holds one place at most.
    """

    def enter(self, merchant_id: UUID) -> None:
        """Take an order into hand. Raises OverloadedError."""
        ...

    def exit(self, merchant_id: UUID) -> None:
        """An order is out of hand."""
        ...

    def full(self, merchant_id: UUID, holder: UUID | None = None) -> Collection[str]:
        """The merchant's channels that have no place free, nor one that `holder` has already."""
        ...

    def take(self, holder: UUID, merchant_id: UUID, channel: str) -> bool:
        """Have a place of this channel and no other, at once. False: there is none; what was held is held on."""
        ...

    async def wait(self, holder: UUID, merchant_id: UUID, channel: str, within_s: float) -> bool:
        """Wait for a place, first come, first served. False: none in time, or too many wait. Meanwhile out of hand."""
        ...

    def has_line(self, merchant_id: UUID, channel: str) -> bool:
        """Whether withholds stand in line for this channel, as far as this process knows: others go behind them."""
        ...

    def stand_in_line(self, merchant_id: UUID, channel: str) -> None:
        """A withhold stands in line from now on."""
        ...

    def leave(self, holder: UUID) -> None:
        """Give the place back, if there is one."""
        ...
