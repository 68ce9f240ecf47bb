"""Where an object stands, and THE transition tables: what may follow what. Nothing else, ever. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from gateway.domain.ids import ObjectKind

__all__ = ["FINAL", "OPEN", "TRANSITIONS", "IllegalTransitionError", "Status", "move"]


class Status(StrEnum):
    """Where a payment, a refund, an authentication, a recorded route, a checkout or a payout stands."""

    OPEN = "open"
    PROCESSING = "processing"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CLOSED = "closed"
    RETURNED = "returned"
    EXPIRED = "expired"
    CANCELED = "canceled"


_START: Final = None
_ASKED_OF_THE_USER: Final[Mapping[Status | None, frozenset[Status]]] = {
    _START: frozenset({Status.PROCESSING, Status.REQUIRES_ACTION, Status.FAILED}),
    Status.REQUIRES_ACTION: frozenset({Status.PROCESSING, Status.SUCCEEDED, Status.FAILED, Status.CLOSED}),
    Status.PROCESSING: frozenset({Status.REQUIRES_ACTION, Status.SUCCEEDED, Status.FAILED}),
    Status.SUCCEEDED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CLOSED: frozenset(),
}

_MONEY_OUT: Final[Mapping[Status | None, frozenset[Status]]] = {
    _START: frozenset({Status.PROCESSING}),
    Status.PROCESSING: frozenset({Status.SUCCEEDED, Status.FAILED}),
    Status.SUCCEEDED: frozenset({Status.RETURNED}),
    Status.FAILED: frozenset(),
    Status.RETURNED: frozenset(),
}

_PAYMENT: Final[Mapping[Status | None, frozenset[Status]]] = {
    **_ASKED_OF_THE_USER,
    # What an operator takes as paid is a payment of its own: it begins where another ends.
    _START: _ASKED_OF_THE_USER[_START] | {Status.SUCCEEDED},
}

TRANSITIONS: Final[Mapping[ObjectKind, Mapping[Status | None, frozenset[Status]]]] = {
    ObjectKind.PAYMENT: _PAYMENT,
    ObjectKind.AUTHENTICATION: _ASKED_OF_THE_USER,
    ObjectKind.REFUND: _MONEY_OUT,
    ObjectKind.PAYOUT: _MONEY_OUT,
    # The app that executes it says how it ended.
    ObjectKind.ROUTE: {
        _START: frozenset({Status.OPEN, Status.FAILED}),
        Status.OPEN: frozenset({Status.SUCCEEDED, Status.FAILED}),
        Status.SUCCEEDED: frozenset(),
        Status.FAILED: frozenset(),
    },
    ObjectKind.CHECKOUT: {
        _START: frozenset({Status.OPEN}),
        Status.OPEN: frozenset({Status.SUCCEEDED, Status.EXPIRED, Status.CANCELED}),
        Status.SUCCEEDED: frozenset(),
        Status.EXPIRED: frozenset(),
        Status.CANCELED: frozenset(),
    },
}
"""Of each kind of object: from (None: the start) to."""

OPEN: Final = frozenset({Status.OPEN, Status.PROCESSING, Status.REQUIRES_ACTION})
FINAL: Final = frozenset(Status) - OPEN
"""Nothing more is expected; a refund or a payout that succeeded may still come back."""


class IllegalTransitionError(Exception):
    """A bug: somebody tried to move an object where its table has no way."""


def move(kind: ObjectKind, before: Status | None, after: Status) -> Status:
    """The new status, if the object's table has the way. Raises IllegalTransitionError by name."""
    if after not in TRANSITIONS[kind].get(before, ()):
        raise IllegalTransitionError(f"{kind}: {before or 'start'} -> {after}")
    return after
