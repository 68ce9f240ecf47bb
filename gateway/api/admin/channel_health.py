"""The health of channels: both success rates of the window, as the process that watches them saw them last.

And what is switched off because of it, which an operator may end.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from gateway.api.admin.anomalies import says_something
from gateway.api.admin.fields import MAX_NAME
from gateway.api.admin.paths import MERCHANT, MERCHANT_ABOUT, TAGS, merchant_of
from gateway.api.http.fields import OneLine, RequestModel
from gateway.api.http.problems import conflict, not_found
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.catalogue import Catalogue
from gateway.domain.rates import Counted
from gateway.domain.switches import Switch, SwitchState
from gateway.objects.channel_health import switch_object, unseen_object
from gateway.objects.times import timestamp

__all__ = ["ChannelHealthCalls", "SeenRates", "Switches"]

CHANNELS = "channels"
SEEING = (
    "One process at a time looks every ten seconds. What had no attempts in its window is not listed, unless it is "
    "degraded; a channel of which nothing is listed is there once, without a scene and a bank (`*`), and its rates are "
    "null. `switch` is as it is now: what is or was switched off since it is degraded."
)
SWITCHING_ON = (
    "Ends at once that the channel is switched off, for all scenes and banks of it or for one. It stays degraded until "
    "its rate is back, and is switched off again only by what is sent from now on."
)


class SeenRates(Protocol):
    """What was seen last: a `RateStore`."""

    async def said(self, watch: str, merchants: Collection[UUID]) -> dict[UUID, tuple[datetime, Any]]:
        """By merchant: when, and the health objects of then."""
        ...


class Switches(Protocol):
    """What is switched off: a `SwitchStore`."""

    async def switches(self, merchants: Collection[UUID]) -> Mapping[UUID, Mapping[Counted, Switch]]:
        """What is or was, by merchant."""
        ...

    async def switch_on(
        self, merchant_id: UUID, channel: str, scene: str | None, bank: str | None, *, by: str, now: datetime
    ) -> list[Counted]:
        """An operator ends it; what was off."""
        ...


class SwitchOn(RequestModel):
    """Payments go to the channel again. Without `scene` and `bank`: to all of it that is switched off."""

    scene: Annotated[OneLine, Field(min_length=1, max_length=MAX_NAME)] | None = None
    bank: Annotated[OneLine, Field(min_length=1, max_length=MAX_NAME)] | None = None
    by: Annotated[
        OneLine, Field(min_length=1, max_length=MAX_NAME, description="who says so"), AfterValidator(says_something)
    ]


class SwitchedOn(BaseModel):
    """What was off."""

    scene: str
    bank: str
    channel: str


class SwitchedOnList(BaseModel):
    """All that was off, and is on again."""

    data: list[SwitchedOn]


class SwitchAnswer(BaseModel):
    """Of a channel that was switched off while it is degraded."""

    state: Annotated[
        SwitchState,
        Field(
            description="resting: no payment goes there; half_open: one in `let_through` does; waiting: enough of them "
            "did, and have no result yet; on: payments go there again"
        ),
    ]
    off_at: str
    rests_until: str
    rests: Annotated[int, Field(description="how often it was sent to rest")]
    on_at: str | None
    on_by: Annotated[str | None, Field(description="the operator; null: by its tries")]


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
    switch: SwitchAnswer | None


class ChannelHealthList(BaseModel):
    """What is watched, by merchant."""

    data: list[ChannelHealthAnswer]


@dataclass(frozen=True, slots=True)
class ChannelHealthCalls:
    """The calls of channels' health. `catalogue`: the one in force."""

    rates: SeenRates
    switches: Switches
    catalogue: Callable[[], Catalogue]
    clock: Callable[[], datetime]

    def routes(self) -> list[Route]:
        """Their routes."""
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
            ),
            Route(
                "POST",
                f"{MERCHANT}/channels/{{channel}}/switch_on",
                self.switch_on,
                "end that a channel is switched off",
                TAGS,
                {200: Answer(SwitchedOnList, "what was off, and is on again")},
                scope="admin",
                body=SwitchOn,
                problems=(409,),
                path_about=MERCHANT_ABOUT | {"channel": "the channel's code"},
                description=SWITCHING_ON,
            ),
        ]

    async def channels(self, _call: Call) -> Reply:
        catalogue = self.catalogue()
        said = await self.rates.said(CHANNELS, catalogue.merchants.keys())
        switches, now = await self.switches.switches(catalogue.merchants.keys()), self.clock()
        data: list[dict[str, Any]] = []
        for merchant in sorted(catalogue.merchants.values(), key=lambda each: each.code):
            seen_at, objects = said.get(merchant.merchant_id, (None, []))
            about = {"merchant": merchant.code, "seen_at": timestamp(seen_at)}
            listed = {each["channel"] for each in objects}
            rest = sorted(set(catalogue.channel_codes(merchant.merchant_id)) - listed)
            unseen = [unseen_object(channel, merchant.watch) for channel in rest]
            off = {what: switch_object(each, now) for what, each in switches.get(merchant.merchant_id, {}).items()}
            data += [{**each, **about, "switch": off.get(_counted(each))} for each in (*objects, *unseen)]
        return Reply({"data": data})

    async def switch_on(self, call: Call) -> Reply:
        catalogue, said, channel = self.catalogue(), call.body, call.path["channel"]
        merchant = merchant_of(catalogue, call)
        if channel not in catalogue.channel_codes(merchant.merchant_id):
            raise not_found("channel")
        on = await self.switches.switch_on(
            merchant.merchant_id, channel, said.scene, said.bank, by=said.by, now=self.clock()
        )
        if not on:
            raise conflict("not_switched_off", "Nothing of this channel is switched off by the watch.")
        return Reply({"data": [what._asdict() for what in on]})


def _counted(shown: Mapping[str, Any]) -> Counted:
    return Counted(shown["scene"], shown["bank"], shown["channel"])
