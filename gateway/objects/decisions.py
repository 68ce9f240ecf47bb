"""How a payment's decision is shown: as it was made, in sentences, and as the record it can be made again from."""

from typing import Any
from uuid import UUID

from gateway.domain.ids import PAYMENT, show
from router.explain import explain
from router.record import from_record, to_answer

__all__ = ["decision_object"]


def decision_object(payment_id: UUID, record: dict[str, Any]) -> dict[str, Any]:
    """The decision of a payment. `record`: as it is stored (`router.record`)."""
    made = from_record(record)
    shown: dict[str, Any] = {"payment": show(PAYMENT, payment_id), **to_answer(made)}
    return shown | {"explanation": explain(made), "record": record}
