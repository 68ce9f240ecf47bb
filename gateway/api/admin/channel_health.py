"""The health of channels: both success rates of the window, as the process that watches them saw them last."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol
from uuid import UUID

from pydantic import BaseModel, Field

from gateway.api.admin.paths import TAGS
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.catalogue import Catalogue
from gateway.objects.channel_health import unseen_object
from gateway.objects.times import timestamp

__all__ = ["ChannelHealthCalls", "SeenRates"]

CHANNELS = "channels"
SEEING = (
    "One process at a time looks every ten seconds. What had no attempts in its window is not listed, unless it is "
    "degraded; a channel of which nothing is listed is there once, without a scene and a bank (`*`), and its rates are "
    "null."
)


class SeenRates(Protocol):
    """What was seen last: a `RateStore`."""

    async def said(self, watch: str, merchants: Collection[UUID]) -> dict[UUID, tuple[datetime, Any]]:
        """By merchant: when, and the health objects of then."""
        ...


class RateAnswer(BaseModel):
    """How many of how many succeeded. `rate` is null without attempts."""

    attempts: int
    succeeded: int
    rate: Annotated[float | None, Field(ge=0, le=1)]


class ChannelHealthAnswer(BaseModel):
    """One scene, bank and channel; `*` where they are counted together."""

    object: Literal["channel_health"]
    merchant: str
    seen_at: Annotated[str | None, Field(description="when it was seen so; null: nobody has looked yet")]
    scene: str
    bank: str
    channel: str
    window_s: int
    at_least: Annotated[int, Field(description="with fewer attempts of `channel_fault` nothing is told")]
    raw: Annotated[RateAnswer, Field(description="all that ended, and what is unresolved: PSPs judge by it")]
    channel_fault: Annotated[RateAnswer, Field(description="without failures by the payer or the platform")]
    unresolved: Annotated[int, Field(description="attempts, in both rates, without a result for too long")]
    traffic: Literal["enough", "low", "none"]
    degraded_since: str | None


class ChannelHealthList(BaseModel):
    """What is watched, by merchant."""

    data: list[ChannelHealthAnswer]


@dataclass(frozen=True, slots=True)
class ChannelHealthCalls:
    """The call of channels' health. `catalogue`: the one in force."""

    rates: SeenRates
    catalogue: Callable[[], Catalogue]

    def routes(self) -> list[Route]:
        """Its route."""
        return [
            Route(
                "GET",
                "/v1/admin/health/channels",
                self.channels,
                "success rates of every merchant's channels",
                TAGS,
                {200: Answer(ChannelHealthList, "what is watched")},
                scope="admin",
                description=SEEING,
            )
        ]

    async def channels(self, _call: Call) -> Reply:
        catalogue = self.catalogue()
        said = await self.rates.said(CHANNELS, catalogue.merchants.keys())
        data: list[dict[str, Any]] = []
        for merchant in sorted(catalogue.merchants.values(), key=lambda each: each.code):
            seen_at, objects = said.get(merchant.merchant_id, (None, []))
            about = {"merchant": merchant.code, "seen_at": timestamp(seen_at)}
            listed = {each["channel"] for each in objects}
            rest = sorted(set(catalogue.channel_codes(merchant.merchant_id)) - listed)
            unseen = [unseen_object(channel, merchant.watch) for channel in rest]
            data += [{**each, **about} for each in (*objects, *unseen)]
        return Reply({"data": data})
