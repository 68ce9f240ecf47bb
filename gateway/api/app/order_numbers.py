"""Order numbers that apps may use: those with the mark of a try are made by us."""

from gateway.api.http.problems import FieldError, bad_fields
from gateway.api.http.routing import Caller
from gateway.domain.checkouts import TRY_MARK
from gateway.ports import Reading

__all__ = ["refuse_number_of_try"]


async def refuse_number_of_try(reading: Reading, caller: Caller, merchant_order_no: str) -> None:
    """Raises a 422 for a new order number with the mark; one that was used before is answered as ever."""
    if TRY_MARK not in merchant_order_no:
        return
    if await reading.order_taken(caller.merchant_id, caller.app, merchant_order_no):
        return
    said = f"must not have {TRY_MARK} in it: that is how the payments of checkouts are numbered"
    raise bad_fields([FieldError("merchant_order_no", "wrong_format", said)])
