"""Channels: which a merchant has; switching and changing one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Protocol
from uuid import UUID

from pydantic import BaseModel, Field

from gateway.api.admin.changes import BY, CHANNEL, Snapshots, catalogue_route, channel_of
from gateway.api.admin.fields import MAX_NAME
from gateway.api.admin.paths import MERCHANT, merchant_of
from gateway.api.http.fields import Code, Fen, OneLine, RequestModel
from gateway.api.http.price_fields import AmountAnswer, Amounts, prices_of
from gateway.api.http.problems import FieldError, bad_fields
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.cards import bank_names
from gateway.domain.catalogue import ANY_BANK, Account, AuthenticationMode, Catalogue, Channel, mode_of
from gateway.domain.prices import Price
from gateway.domain.scenes import Scene
from gateway.limit_fields import given, with_limits
from gateway.objects.catalogue import channel_object
from gateway.ports import Offer, why_not_primary
from router.limits import ChannelLimits

__all__ = ["ChannelAnswer", "ChannelCalls", "Channels"]

MAX_BANKS = 1000

Name = Annotated[OneLine, Field(min_length=1, max_length=MAX_NAME)]
Mode = Annotated[AuthenticationMode, Field(strict=False)]


class Channels(Protocol):
    """Where channels are changed: a `CatalogueStore`."""

    async def set_channel(
        self,
        merchant_id: UUID,
        code: str,
        *,
        by: str,
        now: datetime,
        on: bool | None = None,
        name: str | None = None,
        authentication: Mapping[str, AuthenticationMode] | None = None,
        authentication_fee: int | None = None,
        authentication_fees: Sequence[Price[int]] | None = None,
        limits: Mapping[str, int | None] | None = None,
    ) -> int:
        """The new version. Raises the errors of `gateway.domain.catalogue_content`."""
        ...


@with_limits(ChannelLimits, Field(ge=1))
class ChannelChanges(RequestModel):
    """What to change of a channel. What is absent stays as it is; null removes a limit."""

    on: bool | None = None
    name: Name | None = None
    authentication: Annotated[dict[str, Mode], Field(min_length=1, max_length=MAX_BANKS)] | None = Field(
        None, description="bank code, or * for every other bank → how its cards are authenticated"
    )
    authentication_fee: Fen | None = None
    authentication_fees: Amounts | None = None

    @property
    def limits(self) -> dict[str, int | None]:
        """The limits that are named."""
        named = self.model_fields_set
        return {name: limit for name, limit in given(ChannelLimits, self).shown().items() if name in named}


@with_limits(ChannelLimits, None)
class ChannelAnswer(BaseModel):
    """A channel. `in_maintenance`: a window of all its banks and scenes is open now."""

    object: Literal["channel"]
    merchant: Code
    code: Code
    account: Code
    provider: str
    name: str
    on: bool
    in_maintenance: bool
    authentication: dict[str, AuthenticationMode]
    authentication_fee: int
    authentication_fees: list[AmountAnswer]


class ChannelList(BaseModel):
    """Every channel of a merchant."""

    data: list[ChannelAnswer]


@dataclass(frozen=True, slots=True)
class ChannelCalls:
    """The calls of channels. `offer_of`: what can be done on an account."""

    store: Channels
    snapshots: Snapshots
    offer_of: Callable[[Account], Offer]
    clock: Callable[[], datetime]

    def routes(self) -> list[Route]:
        """The routes of channels."""
        channels, channel = Answer(ChannelList, "its channels"), Answer(ChannelAnswer, "the channel as it is now")
        return [
            catalogue_route("GET", f"{MERCHANT}/channels", self.channels, "a merchant's channels", channels),
            catalogue_route(
                "PATCH", CHANNEL, self.change_channel, "switch or change a channel", channel, body=ChannelChanges
            ),
        ]

    async def channels(self, call: Call) -> Reply:
        snapshot = await self.snapshots.refresh_now()
        merchant, now = merchant_of(snapshot, call), self.clock()
        mine = [c for (owner, _), c in snapshot.channels.items() if owner == merchant.merchant_id]
        return Reply({"data": [channel_object(snapshot, channel, now) for channel in mine]})

    async def change_channel(self, call: Call) -> Reply:
        snapshot = await self.snapshots.refresh_now()
        channel, changes = channel_of(snapshot, call), call.body
        if changes.authentication is not None:
            offer = self.offer_of(snapshot.accounts[channel.merchant_id, channel.account])
            _check_modes(offer, changes.authentication, _signed_by(snapshot, channel), _paid_by(snapshot, channel))
        await self.store.set_channel(
            channel.merchant_id,
            channel.code,
            by=BY,
            now=self.clock(),
            on=changes.on,
            name=changes.name,
            authentication=changes.authentication,
            authentication_fee=changes.authentication_fee,
            authentication_fees=None if changes.authentication_fees is None else prices_of(changes.authentication_fees),
            limits=changes.limits,
        )
        after = await self.snapshots.refresh_now()
        return Reply(channel_object(after, channel_of(after, call), self.clock()))


def _signed_by(catalogue: Catalogue, channel: Channel) -> list[str | None]:
    """The banks whose primary signer this channel is; None among them: it is that of all banks."""
    merchant = catalogue.merchants[channel.merchant_id]
    of_all: list[str | None] = [None] if merchant.primary_signer == channel.code else []
    return of_all + [bank for bank, signer in merchant.primary_signers.items() if signer == channel.code]


def _paid_by(catalogue: Catalogue, channel: Channel) -> set[tuple[Scene, str]]:
    """The scenes and banks of the channel's rules."""
    mine = (channel.merchant_id, channel.code)
    every = (rule for rules in catalogue.rules.values() for rule in rules)
    return {(rule.scene, rule.bank) for rule in every if (rule.merchant_id, rule.channel) == mine}


def _check_modes(
    offer: Offer,
    authentication: Mapping[str, AuthenticationMode],
    signs: Iterable[str | None],
    pays: Iterable[tuple[Scene, str]],
) -> None:
    errors = []
    for bank, mode in authentication.items():
        if bank != ANY_BANK and bank not in bank_names():
            errors.append(FieldError("authentication", "bank", "must have known bank codes and * only"))
        if why := offer.why_not_authenticate(mode):
            errors.append(FieldError("authentication", "unsupported", why))
    ways = {(scene, mode_of(authentication, bank)) for scene, bank in pays}
    for scene, way in sorted((scene, way) for scene, way in ways if way is not None):
        if why := offer.why_not_way(scene, way):
            errors.append(FieldError("authentication", "unsupported", f"a rule leads here: {why}"))
    for of_bank in signs:
        if why := why_not_primary(offer, authentication, of_bank):
            why = f"this channel is the merchant's primary signer, and could not sign cards by SMS any more: {why}"
            errors.append(FieldError("authentication", "unsupported", why))
    if errors:
        raise bad_fields(list(dict.fromkeys(errors)))
