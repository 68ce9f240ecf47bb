"""Merchants, as operators see them, and the settings of a merchant that they change."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol
from uuid import UUID

from pydantic import BaseModel, Field

from gateway.api.admin.changes import BY, Snapshots, catalogue_route
from gateway.api.admin.fields import MAX_INT32
from gateway.api.admin.paths import MERCHANT, merchant_of
from gateway.api.http.fields import BankCode, Code, RequestModel
from gateway.api.http.problems import FieldError, bad_fields
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.api.http.watch_field import WatchField
from gateway.domain.catalogue import Account, Catalogue, Merchant
from gateway.domain.watch_settings import watch_to_json
from gateway.objects.catalogue import merchant_object
from gateway.ports import Offer, why_not_primary

__all__ = ["MerchantAnswer", "MerchantCalls", "Merchants"]

MAX_BANKS = 1_000


class Merchants(Protocol):
    """Where merchants are changed: a `CatalogueStore`."""

    async def set_merchant(self, merchant_id: UUID, values: Mapping[str, Any], *, by: str, now: datetime) -> int:
        """Change settings by their names; the new version. Raises errors of `gateway.domain.catalogue_content`."""
        ...


class MerchantChanges(RequestModel):
    """What to change of a merchant. What is absent stays as it is; null takes it away."""

    primary_signer: Code | None = Field(None, description="the channel that alone signs cards by SMS")
    primary_signers: Annotated[dict[BankCode, Code], Field(max_length=MAX_BANKS)] | None = Field(
        None, description="bank code → the channel that does it for this bank; the whole table"
    )
    sms_per_phone_and_day: Annotated[int, Field(ge=1, le=MAX_INT32)] | None = Field(
        None, description="SMS codes to one phone in one business day; null: 10"
    )
    watch: WatchField | None = Field(
        None, description="how its channels are watched (docs/watching.md), the whole of it; null: as by default"
    )


class MerchantAnswer(BaseModel):
    """A merchant."""

    object: Literal["merchant"]
    code: Code
    name: str
    last_attempt_max_age_s: int | None
    unresolved_counts_after_s: int | None
    authentication_spread: int | None
    primary_signer: Code | None
    primary_signers: dict[str, Code]
    sms_per_phone_and_day: int
    watch: Annotated[dict[str, Any], Field(description="where it is not as by default")]


class MerchantList(BaseModel):
    """Every merchant."""

    data: list[MerchantAnswer]


@dataclass(frozen=True, slots=True)
class MerchantCalls:
    """The calls of merchants. `offer_of`: what can be done on an account."""

    store: Merchants
    snapshots: Snapshots
    offer_of: Callable[[Account], Offer]
    clock: Callable[[], datetime]

    def routes(self) -> list[Route]:
        """The routes of merchants."""
        merchants, merchant = Answer(MerchantList, "merchants"), Answer(MerchantAnswer, "the merchant as it is now")
        change = "change settings of a merchant"
        return [
            catalogue_route("GET", "/v1/admin/merchants", self.merchants, "every merchant", merchants),
            catalogue_route("PATCH", MERCHANT, self.change_merchant, change, merchant, body=MerchantChanges),
        ]

    async def merchants(self, _call: Call) -> Reply:
        snapshot = await self.snapshots.refresh_now()
        ordered = sorted(snapshot.merchants.values(), key=lambda merchant: merchant.code)
        return Reply({"data": [merchant_object(merchant) for merchant in ordered]})

    async def change_merchant(self, call: Call) -> Reply:
        snapshot, changes = await self.snapshots.refresh_now(), call.body
        merchant = merchant_of(snapshot, call)
        errors = list(self._signer_errors(snapshot, merchant, changes))
        if errors:
            raise bad_fields(errors)
        values = {name: getattr(changes, name) for name in changes.model_fields_set}
        if changes.watch is not None:
            values["watch"] = watch_to_json(changes.watch)
        await self.store.set_merchant(merchant.merchant_id, values, by=BY, now=self.clock())
        after = await self.snapshots.refresh_now()
        return Reply(merchant_object(merchant_of(after, call)))

    def _signer_errors(
        self, catalogue: Catalogue, merchant: Merchant, changes: MerchantChanges
    ) -> Iterator[FieldError]:
        named = [("primary_signer", None, changes.primary_signer)] if changes.primary_signer else []
        of_banks = [("primary_signers", bank, signer) for bank, signer in (changes.primary_signers or {}).items()]
        for field, bank, signer in (*named, *of_banks):
            channel = catalogue.channels.get((merchant.merchant_id, signer))
            if channel is None:
                yield FieldError(field, "not_found", "must name channels of this merchant")
                continue
            offer = self.offer_of(catalogue.accounts[channel.merchant_id, channel.account])
            if why := why_not_primary(offer, channel.authentication, bank):
                yield FieldError(field, "unsupported", f"{signer} cannot sign cards by SMS: {why}")
