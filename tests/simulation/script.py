"""A script: a flow that is played, and what is said of it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from gateway.domain.catalogue_content import MerchantContent
from gateway.domain.terms import NEVER
from tests.e2e.merchants import Change, account_with
from tests.simulation.play import STEPS, STEPS_WITHOUT_PROOF, Death, Play
from tests.simulation.stage import Stage

__all__ = ["Act", "Script"]

Act = Callable[[Play, Any], Awaitable[object]]


def _as_it_is(merchant: MerchantContent) -> MerchantContent:
    return merchant


@dataclass(frozen=True, slots=True)
class Script:
    """A flow: what is prepared undisturbed, and what is then done while gateways die. See README.md."""

    name: str
    act: Act
    prepare: Callable[[Play], Awaitable[Any]] | None = None
    merchant: Change = _as_it_is
    at_once: int = 1
    pairs: bool = False
    """Whether two processes in a row die, too."""
    races: bool = False
    """Whether things run beside each other in it, so that it is not the same actions each time."""
    ends: tuple[str, ...] | None = None
    """How everything ends where nobody dies, in the order of asking."""
    steady: bool = False
    """Whether it ends so whoever dies, too."""
    codes: int | None = None
    """How many SMS to sign with are sent where nobody dies."""
    never_proof: bool = False
    """Whether "not found" proves nothing by its terms, so that what was lost may stay open."""
    lies: bool = False
    """Whether a PSP says "not found" of what it has."""
    watched: bool = False
    """Whether what ended without the PSP's word is looked at to the last look, and may die of that."""
    daily_limit: int | None = None
    """Of each user, in fen."""

    def _changed(self, merchant: MerchantContent) -> MerchantContent:
        changed = self.merchant(merchant)
        if not self.never_proof:
            return changed
        accounts = tuple(account_with(each, {"not_found": NEVER}) for each in changed.accounts)
        return replace(changed, accounts=accounts)

    async def merchant_on(self, stage: Stage) -> tuple[UUID, str]:
        """Its merchant, which it shares with scripts that want the same: its id, and its app's key."""
        return await stage.merchant((self.merchant, self.never_proof), self._changed)

    async def play(
        self, stage: Stage, deaths: Sequence[Death] = (), bug: str | None = None, *, rehearses: bool = False
    ) -> Play:
        """Play it once, to its rest."""
        merchant_id, key = await self.merchant_on(stage)
        play = Play(stage, merchant_id, key, deaths, bug, self.at_once, rehearses)
        await play.begin()
        try:
            prepared = await self.prepare(play) if self.prepare else None
            await play.count(on=True)
            await self.act(play, prepared)
            await play.rest(STEPS_WITHOUT_PROOF if self.never_proof else STEPS, watched=self.watched)
            await play.count(on=False)
            await play.ask_all_again()
            if not self.never_proof:  # what was turned away before may be taken now
                await play.rest()
        finally:
            await play.end()
        return play
