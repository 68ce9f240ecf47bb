"""The deliveries that a process has in hand: how much room each endpoint and each merchant has."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from uuid import UUID

__all__ = ["ROOM", "ROOM_PER_ENDPOINT", "ROOM_UNANSWERED", "SENDS_PER_ENDPOINT", "SENDS_UNANSWERED", "Lane", "Lanes"]

SENDS_PER_ENDPOINT = 16
SENDS_UNANSWERED = 2
"""The same for an endpoint whose last try had no answer, until one has: many that hang must not use up the sockets."""
ROOM_PER_ENDPOINT = 512
"""Deliveries of one endpoint in hand: waiting, being sent, or being recorded."""
ROOM_UNANSWERED = 8
"""Up to how many in hand more are claimed for an endpoint whose last try had no answer."""
ROOM = 16_384
"""The same over all endpoints. No merchant has more in hand than there is room left: the next one finds some. Beyond it
each endpoint has as many as it may send at once, so that none is shut out by others."""


class Lane:
    """One endpoint's turns and room."""

    __slots__ = ("few_turns", "gone_in", "in_hand", "stopping", "turns", "unanswered")

    def __init__(self) -> None:
        self.in_hand = 0
        self.turns = asyncio.Semaphore(SENDS_PER_ENDPOINT)
        self.few_turns = asyncio.Semaphore(SENDS_UNANSWERED)
        self.unanswered = False
        self.stopping = asyncio.Lock()
        """One 410 is written down at a time."""
        self.gone_in: int | None = None
        """The version of the catalogue in which it still runs though it was stopped since, as it had answered 410."""


class Lanes:
    """Every endpoint's lane, and what each merchant has in hand."""

    def __init__(self) -> None:
        self._lanes: dict[UUID, Lane] = {}
        self._of_merchant: Counter[UUID] = Counter()
        self.in_hand = 0

    def __len__(self) -> int:
        return len(self._lanes)

    def room_of(self, merchant_id: UUID) -> int:
        """How many more deliveries of this merchant may be in hand."""
        return max(0, ROOM - self.in_hand - self._of_merchant[merchant_id])

    def has_room(self, merchant_id: UUID, endpoint_id: UUID) -> bool:
        """Whether one more delivery of this endpoint may be in hand."""
        in_hand, _ = self._stands(endpoint_id)
        return in_hand < ROOM_PER_ENDPOINT and (in_hand < SENDS_PER_ENDPOINT or self.room_of(merchant_id) > 0)

    def rooms(self, merchant_id: UUID, endpoints: Iterable[UUID], share: int) -> dict[UUID, int]:
        """How many deliveries of each endpoint to claim, each at most `share`; those without room are left out."""
        rooms, left = {}, self.room_of(merchant_id)
        for endpoint_id in endpoints:
            in_hand, unanswered = self._stands(endpoint_id)
            room = (ROOM_UNANSWERED if unanswered else ROOM_PER_ENDPOINT) - in_hand
            room = min(share, room, max(left, SENDS_PER_ENDPOINT - in_hand))
            if room > 0:
                rooms[endpoint_id] = room
                left -= room
        return rooms

    def _stands(self, endpoint_id: UUID) -> tuple[int, bool]:
        lane = self._lanes.get(endpoint_id)
        return (lane.in_hand, lane.unanswered) if lane else (0, False)

    def enter(self, merchant_id: UUID, endpoint_id: UUID) -> Lane:
        """Take one more delivery in hand."""
        lane = self._lanes.get(endpoint_id) or self._lanes.setdefault(endpoint_id, Lane())
        lane.in_hand += 1
        self.in_hand += 1
        self._of_merchant[merchant_id] += 1
        return lane

    def leave(self, merchant_id: UUID, endpoint_id: UUID, lane: Lane) -> None:
        """A delivery is in hand no more."""
        lane.in_hand -= 1
        self.in_hand -= 1
        self._of_merchant[merchant_id] -= 1
        if not self._of_merchant[merchant_id]:
            del self._of_merchant[merchant_id]
        if lane.in_hand == 0 and not lane.unanswered:
            self._lanes.pop(endpoint_id, None)
