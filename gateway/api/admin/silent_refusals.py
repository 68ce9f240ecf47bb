"""Banks whose cards an account does not bind silently any more, since its PSP wanted an SMS; and taking that back."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Protocol
from uuid import UUID

from pydantic import BaseModel, Field

from gateway.api.admin.changes import Snapshots, catalogue_route
from gateway.api.admin.endpoints import Word
from gateway.api.admin.paths import MERCHANT, merchant_of
from gateway.api.http.fields import Code
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.objects.catalogue import silent_refusal_object

__all__ = ["SilentRefusalAnswer", "SilentRefusalCalls", "SilentRefusals"]

SILENT_REFUSALS = f"{MERCHANT}/silent_refusals"
CLEAR = f"{SILENT_REFUSALS}/{{account}}/{{bank}}/clear"
ABOUT = "Do so once the PSP binds cards of this bank silently again: the next one is then asked for without its payer."


class SilentRefusals(Protocol):
    """Where they are cleared: a `CatalogueStore`."""

    async def clear_silent_refusal(
        self, merchant_id: UUID, account: str, bank: str, *, by: str, note: str, now: datetime
    ) -> int:
        """The new version. Raises NotInCatalogueError."""
        ...


class SilentRefusalAnswer(BaseModel):
    """A bank whose cards an account does not bind silently any more: its PSP wanted an SMS for one of them."""

    object: Literal["silent_refusal"]
    account: Code
    bank: str
    channel_code: Annotated[str | None, Field(description="the PSP's own code")]
    refused_at: str


class SilentRefusalList(BaseModel):
    """All of a merchant."""

    data: list[SilentRefusalAnswer]


@dataclass(frozen=True, slots=True)
class SilentRefusalCalls:
    """The calls of what is not bound silently any more."""

    store: SilentRefusals
    snapshots: Snapshots
    clock: Callable[[], datetime]

    def routes(self) -> list[Route]:
        """The routes."""
        left = Answer(SilentRefusalList, "those that are left")
        return [
            catalogue_route(
                "GET",
                SILENT_REFUSALS,
                self.silent_refusals,
                "banks whose cards are not bound silently any more",
                Answer(SilentRefusalList, "by account and bank"),
            ),
            catalogue_route(
                "POST", CLEAR, self.clear, "bind cards of a bank silently again", left, 200, body=Word,
                description=ABOUT,
            ),
        ]  # fmt: skip

    async def silent_refusals(self, call: Call) -> Reply:
        snapshot = await self.snapshots.refresh_now()
        found = snapshot.silent_refusals_of(merchant_of(snapshot, call).merchant_id)
        return Reply({"data": [silent_refusal_object(each) for each in found]})

    async def clear(self, call: Call) -> Reply:
        merchant, said = merchant_of(await self.snapshots.refresh_now(), call), call.body
        await self.store.clear_silent_refusal(
            merchant.merchant_id, call.path["account"], call.path["bank"], by=said.by, note=said.note, now=self.clock()
        )
        return await self.silent_refusals(call)
