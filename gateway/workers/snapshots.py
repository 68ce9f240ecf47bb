"""An alert on old snapshots: a transaction that somebody left open makes everything slower until it ends."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Protocol

from gateway.logs import get

log = get(__name__)

LOOK_EVERY_S = 15.0
TELL_AGAIN_S = 300.0


class HeldSnapshot(Protocol):
    """What holds a snapshot (implemented by `gateway.storage.reading.snapshots`)."""

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def application(self) -> str: ...
    @property
    def state(self) -> str | None: ...
    @property
    def age(self) -> timedelta | None: ...
    @property
    def is_old(self) -> bool: ...


class SnapshotWatch:
    """Looks at what is held, tells the oldest's age in seconds, and logs those that are old. `clock` is monotonic."""

    def __init__(
        self,
        held: Callable[[], Awaitable[Sequence[HeldSnapshot]]],
        tell_oldest: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self._held = held
        self._tell_oldest = tell_oldest
        self._clock = clock
        self._looked_at: float | None = None
        self._told: dict[tuple[str, str], float] = {}

    async def tick(self) -> None:
        """Look, if the last look is some seconds ago. That it cannot look is no reason to take no payments."""
        now = self._clock()
        if self._looked_at is not None and now - self._looked_at < LOOK_EVERY_S:
            return
        self._looked_at = now
        try:
            held = await self._held()
        except Exception as error:  # noqa: BLE001 -- whatever it is, the next look tries again
            log.warning("old snapshots not looked for", error_type=type(error).__name__)
            return
        self._tell_oldest(max((each.age.total_seconds() for each in held if each.age is not None), default=0.0))
        old = {(each.kind, each.name): each for each in held if each.is_old}
        self._told = {key: at for key, at in self._told.items() if key in old}
        for key, each in old.items():
            if key not in self._told or now - self._told[key] >= TELL_AGAIN_S:
                self._told[key] = now
                _log(each)


def _log(each: HeldSnapshot) -> None:
    log.warning(
        "an old snapshot makes everything slower until it ends",
        held_by=each.kind,
        name=each.name,
        application=each.application,
        state=each.state,
        age_s=None if each.age is None else int(each.age.total_seconds()),
    )
