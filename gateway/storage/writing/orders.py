"""Rows of orders: the arbiter of what an app calls by a number of its own, over every kind of object."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from gateway.domain.ids import ObjectKind
from gateway.storage.keys import ORDER_KEY_VERSION, Keys
from gateway.storage.server.database import Connection
from gateway.storage.tables import orders
from gateway.storage.writing.statement import Write

__all__ = ["NEW_ORDERS", "OrderKey", "OrderRow", "TakenOrder", "insert_orders", "read_orders", "same_content"]

OrderKey = tuple[str, str]
"""App and merchant_order_no."""

NEW_ORDERS = "new_orders"
"""The part of a flush's statement that returns the objects whose order numbers were free."""

READ_ORDERS = """
SELECT o.app, o.merchant_order_no, o.object, o.object_id, o.body_hash, o.hash_version, o.hash_form
FROM unnest($2::text[], $3::text[]) AS asked (app, merchant_order_no)
JOIN orders o ON o.merchant_id = $1 AND o.app = asked.app AND o.merchant_order_no = asked.merchant_order_no
"""


@dataclass(frozen=True, slots=True)
class TakenOrder:
    """An order number that has its object, with the keyed hash of the request it came with."""

    object: ObjectKind
    object_id: UUID
    body_hash: bytes
    hash_version: int
    hash_form: int


@dataclass(frozen=True, slots=True)
class OrderRow:
    """A new order. `body_hash` is made with the order key."""

    app: str
    merchant_order_no: str
    object: ObjectKind
    object_id: UUID
    body_hash: bytes
    hash_form: int

    @property
    def key(self) -> OrderKey:
        """What is taken."""
        return self.app, self.merchant_order_no


async def read_orders(
    connection: Connection, merchant_id: UUID, asked: Sequence[OrderKey]
) -> dict[OrderKey, TakenOrder]:
    """Which of these numbers are taken, and by what."""
    rows = await connection.fetch(READ_ORDERS, merchant_id, [key[0] for key in asked], [key[1] for key in asked])
    return {(row[0], row[1]): TakenOrder(ObjectKind(row[2]), row[3], bytes(row[4]), row[5], row[6]) for row in rows}


def insert_orders(write: Write, new: Sequence[OrderRow], id_name: str) -> None:
    """Take numbers that are free. The part NEW_ORDERS returns the objects that got theirs, as `id_name`, `object_id`
    and `of_order`."""
    rows = [
        {
            "app": order.app,
            "merchant_order_no": order.merchant_order_no,
            "object": order.object,
            "object_id": order.object_id,
            "body_hash": order.body_hash,
            "hash_version": ORDER_KEY_VERSION,
            "hash_form": order.hash_form,
        }
        # In one order everywhere: two flushes that share numbers of different users wait for each other here.
        for order in sorted(new, key=lambda order: order.key)
    ]
    write.insert(
        orders,
        rows,
        part=NEW_ORDERS,
        conflict="ON CONFLICT (merchant_id, app, merchant_order_no) DO NOTHING",
        returning=f"RETURNING object_id AS {id_name}, object_id, object_id AS of_order",
    )


def same_content(keys: Keys, taken: TakenOrder, body: bytes) -> bool | None:
    """Whether a request is the one that took the number. None: the key of its hash has left the ring."""
    ours = keys.request_hash(body, taken.hash_version)
    return None if ours is None else hmac.compare_digest(ours, taken.body_hash)
