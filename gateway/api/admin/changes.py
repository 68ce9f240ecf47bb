"""What the calls that read and change the catalogue have in common. Each change is a new version."""

from typing import Any, Literal, Protocol

from pydantic import BaseModel

from gateway.api.admin.paths import MERCHANT, MERCHANT_ABOUT, TAGS, merchant_of
from gateway.api.http.problems import conflict, not_found, overloaded
from gateway.api.http.routing import Answer, Call, Handler, Reply, Route
from gateway.domain.catalogue import Catalogue, Channel
from gateway.domain.catalogue_content import CatalogueBusyError, CatalogueRefusedError, NotInCatalogueError

__all__ = ["BY", "CHANNEL", "REMOVED", "RemovedAnswer", "Snapshots", "catalogue_route", "channel_of"]

BY = "admin"
RETRY_AFTER_S = 1
CHANNEL = f"{MERCHANT}/channels/{{channel}}"
ABOUT = MERCHANT_ABOUT | {
    "channel": "the channel's code",
    "account": "the account's code",
    "endpoint": "the endpoint's code",
    "window": "the window's id, mw_…",
    "block": "the entry's id, blk_…",
    "proposal": "the proposal's id, prop_…",
    "scene": "the payment scene",
    "payee": "personal or corporate",
    "bank": "the bank code",
    "rule": "the rule's code",
}


class Snapshots(Protocol):
    """Where the catalogue is read: a `CatalogueWatch`."""

    async def refresh_now(self) -> Catalogue:
        """The catalogue as it is in the database now."""
        ...


class RemovedAnswer(BaseModel):
    """Something was removed."""

    object: Literal["maintenance_window", "rule", "payout_rule", "transaction_rule"]
    removed: Literal[True]


REMOVED = Answer(RemovedAnswer, "removed")


def catalogue_route(
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
    path: str,
    handler: Handler,
    summary: str,
    answer: Answer,
    status: int | None = None,
    **more: Any,
) -> Route:
    """The route of a call of the catalogue, with the problems that every change of it may have.

    `status`: of the answer; by itself 201 for POST, otherwise 200.
    """
    return Route(
        method,
        path,
        _problems_told(handler),
        summary,
        TAGS,
        {status or (201 if method == "POST" else 200): answer},
        scope="admin",
        problems=() if method == "GET" else (409, 503),
        path_about={name: text for name, text in ABOUT.items() if f"{{{name}}}" in path},
        **more,
    )


def _problems_told(handler: Handler) -> Handler:
    async def handle(call: Call) -> Reply:
        try:
            return await handler(call)
        except NotInCatalogueError as error:
            raise not_found(error.what) from None
        except CatalogueRefusedError as error:
            raise conflict("catalogue_refused", f"{error}.") from None
        except CatalogueBusyError:
            raise overloaded(RETRY_AFTER_S) from None

    return handle


def channel_of(catalogue: Catalogue, call: Call) -> Channel:
    """The channel that the address names. Raises a 404 problem, or NotInCatalogueError."""
    channel = catalogue.channels.get((merchant_of(catalogue, call).merchant_id, call.path["channel"]))
    if channel is None:
        raise NotInCatalogueError("channel")
    return channel
