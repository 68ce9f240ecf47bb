"""Payers: they type what came by SMS, wish for another, or do nothing; whatever died meanwhile."""

from datetime import timedelta
from typing import Final

from tests.e2e.business import Shown
from tests.simulation.asked import address_of
from tests.simulation.play import FEW_MS, STEPS, TRIES, Play

__all__ = ["WRONG", "Payer"]

WRONG: Final = "000000"
WAITS: Final = timedelta(seconds=61)
"""Before another SMS is wished for."""
DONE: Final = 200
GRANTED_BEFORE: Final = {"resend_too_soon", "sms_in_progress"}
"""Why no other SMS is sent to who wished for one before, and has lost the answer."""
TOO_LATE: Final = {"not_waiting", "no_resends_left"}


class Payer:
    """Whoever is asked for codes in a play. `phone`: where theirs come, if there are others' beside them."""

    def __init__(self, play: Play, phone: str = "") -> None:
        self._play, self._phone = play, phone

    async def is_asked(self, about: Shown) -> Shown:
        """Let time pass until a code is asked for, or it has ended: it, as it is then."""
        for _ in range(STEPS):
            await self._play.work()
            now = await self._play.read(address_of(about))
            if now["status"] != "processing":
                return now
            await self._time_passes()
        raise AssertionError(f"{about['id']} stays processing")

    async def types(self, about: Shown, code: str | None = None) -> Shown:
        """Type what came last, or this code, until it is taken; wish for another SMS where none came."""
        for _ in range(TRIES):
            now = await self.is_asked(about)
            if now["status"] != "requires_action":
                return now
            typed = code or await self._newest(now)
            if typed is None:
                await self.wants_another(now)
                continue
            status, said = await self._play.wish(about, "confirm", {"sms_code": typed})
            if status == DONE:
                return said
            await self._time_passes()
        raise AssertionError(f"no code was taken for {about['id']}")

    async def wants_another(self, about: Shown) -> None:
        """Wait a minute, and wish for another SMS until it is granted, or too late."""
        play = self._play
        if (await play.read(address_of(about)))["next_action"] is None:
            return
        play.stage.move_to(play.stage.now + WAITS)
        await play.work()  # by which gateways know how late it is
        play.codes_asked += 1
        for _ in range(TRIES):
            status, said = await play.wish(about, "resend-sms")
            if status == DONE or said["code"] in GRANTED_BEFORE or said["code"] in TOO_LATE:
                return
            await self._time_passes()

    async def gives_up(self, about: Shown) -> None:
        """Have it closed, if it still can be."""
        for _ in range(TRIES):
            now = await self.is_asked(about)
            if now["status"] != "requires_action":
                return
            status, _ = await self._play.wish(about, "close")
            if status == DONE:
                return
            await self._time_passes()

    async def _newest(self, about: Shown) -> str | None:
        """The code that came last for what is asked."""
        sent = (await self._play.stage.control("GET", f"unionpay/sms?phone={self._phone}"))["sms"]
        codes = [sms["code"] for sms in sent if sms["purpose"] == about["next_action"]["purpose"]]
        return codes[-1] if codes else None

    async def _time_passes(self) -> None:
        """Until something is due."""
        due = await self._play.due(watched=False)
        if due is not None:
            self._play.stage.move_to(due + FEW_MS)
            await self._play.work()
