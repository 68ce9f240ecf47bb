"""Where the admin calls stand: below a merchant, named by its code."""

from gateway.api.http.problems import not_found
from gateway.api.http.routing import Call
from gateway.domain.catalogue import Catalogue, Merchant

__all__ = ["MERCHANT", "MERCHANT_ABOUT", "TAGS", "merchant_of"]

TAGS = ("admin",)
MERCHANT = "/v1/admin/merchants/{merchant}"
MERCHANT_ABOUT = {"merchant": "the merchant's code"}


def merchant_of(catalogue: Catalogue, call: Call) -> Merchant:
    """The merchant that the address names. Raises a 404 problem."""
    merchant = catalogue.merchants_by_code.get(call.path["merchant"])
    if merchant is None:
        raise not_found("merchant")
    return merchant
