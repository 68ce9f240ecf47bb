"""Merchants, as operators see them."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from gateway.api.admin.changes import Snapshots, catalogue_route
from gateway.api.http.fields import Code
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.objects.catalogue import merchant_object

__all__ = ["MerchantAnswer", "MerchantCalls"]


class MerchantAnswer(BaseModel):
    """A merchant."""

    object: Literal["merchant"]
    code: Code
    name: str
    last_attempt_max_age_s: int | None
    authentication_spread: int | None


class MerchantList(BaseModel):
    """Every merchant."""

    data: list[MerchantAnswer]


@dataclass(frozen=True, slots=True)
class MerchantCalls:
    """The call of merchants."""

    snapshots: Snapshots

    def routes(self) -> list[Route]:
        """The route of merchants."""
        merchants = Answer(MerchantList, "merchants")
        return [catalogue_route("GET", "/v1/admin/merchants", self.merchants, "every merchant", merchants)]

    async def merchants(self, _call: Call) -> Reply:
        snapshot = await self.snapshots.refresh_now()
        ordered = sorted(snapshot.merchants.values(), key=lambda merchant: merchant.code)
        return Reply({"data": [merchant_object(merchant) for merchant in ordered]})
