"""Alerts: what a person should look at, and that somebody has."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, TypeAlias
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, PlainValidator, WithJsonSchema

from gateway.api.admin.anomalies import Flag, says_something
from gateway.api.admin.fields import MAX_NAME, MAX_NOTE
from gateway.api.admin.paths import MERCHANT, MERCHANT_ABOUT, TAGS, merchant_of
from gateway.api.http.fields import PAGE, Lines, OneLine, PageSize, QueryModel, RequestModel, id_field, wrong
from gateway.api.http.problems import conflict, not_found
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.alerts import AcknowledgedError, AlertKind, AlertSearch, RecordedAlert, Severity
from gateway.domain.catalogue import Catalogue
from gateway.domain.ids import ALERT, IdError, read
from gateway.objects.alerts import alert_object

__all__ = ["AlertCalls", "Alerts"]

ALERTS = f"{MERCHANT}/alerts"


class Alerts(Protocol):
    """Where alerts are kept: an `AlertStore`."""

    async def alerts(self, merchant_id: UUID, search: AlertSearch, limit: int) -> list[RecordedAlert]:
        """Newest first."""
        ...

    async def acknowledge(
        self, merchant_id: UUID, alert_id: UUID, *, by: str, note: str, now: datetime
    ) -> RecordedAlert | None:
        """Somebody has seen it; None: no such alert. Raises AcknowledgedError."""
        ...


def _kind(value: object) -> AlertKind:
    try:
        return AlertKind(value if isinstance(value, str) else "")
    except ValueError:
        raise wrong("not_one_of", f"must be one of {', '.join(AlertKind)}") from None


if TYPE_CHECKING:
    AlertId: TypeAlias = UUID
else:
    AlertId = id_field(ALERT)
KindField = Annotated[AlertKind, PlainValidator(_kind), WithJsonSchema({"type": "string", "enum": list(AlertKind)})]


class AlertListing(QueryModel):
    """Alerts, newest first. `open`: only those that are open, or only those that are not."""

    kind: KindField | None = None
    open: Flag | None = None
    limit: PageSize = PAGE
    after: AlertId | None = None


class Acknowledgement(RequestModel):
    """Somebody has seen it, with a note for those who come later."""

    note: Annotated[Lines, Field(min_length=1, max_length=MAX_NOTE), AfterValidator(says_something)]
    by: Annotated[
        OneLine, Field(min_length=1, max_length=MAX_NAME, description="who says so"), AfterValidator(says_something)
    ]


class AlertAnswer(BaseModel):
    """What a person should look at. `cleared_at` is null while it is open; acknowledging it does not end it."""

    object: Literal["alert"]
    id: str
    kind: AlertKind
    about: Annotated[str, Field(description="a channel, scene/bank/channel, an account, an endpoint: by its kind")]
    severity: Severity
    detail: Annotated[dict[str, Any], Field(description="numbers and codes, as they were seen last")]
    raised_at: str
    last_at: str
    times: Annotated[int, Field(description="how often it was seen while it is open")]
    cleared_at: str | None
    acknowledged_at: str | None
    acknowledged_by: str | None
    note: str | None


class AlertPage(BaseModel):
    """Alerts, newest first."""

    data: list[AlertAnswer]
    next: Annotated[str | None, Field(description="give it as `after` for the next page; null: no more")]


@dataclass(frozen=True, slots=True)
class AlertCalls:
    """The calls of alerts. `catalogue`: the one in force."""

    store: Alerts
    catalogue: Callable[[], Catalogue]
    clock: Callable[[], datetime]

    def routes(self) -> list[Route]:
        """The routes of alerts."""
        return [
            Route(
                "GET",
                ALERTS,
                self.alerts,
                "a merchant's alerts, newest first",
                TAGS,
                {200: Answer(AlertPage, "one page")},
                scope="admin",
                query=AlertListing,
                path_about=MERCHANT_ABOUT,
            ),
            Route(
                "POST",
                f"{ALERTS}/{{id}}/acknowledge",
                self.acknowledge,
                "say that somebody has seen an alert",
                TAGS,
                {200: Answer(AlertAnswer, "the alert as it is now")},
                scope="admin",
                body=Acknowledgement,
                problems=(409,),
                path_about=MERCHANT_ABOUT | {"id": "the alert's id, alr_…"},
            ),
        ]

    async def alerts(self, call: Call) -> Reply:
        merchant, asked = merchant_of(self.catalogue(), call), call.query
        search = AlertSearch(asked.kind, asked.open, asked.after)
        # One more than the page tells whether there is a next one.
        found = await self.store.alerts(merchant.merchant_id, search, asked.limit + 1)
        page = [alert_object(alert) for alert in found[: asked.limit]]
        return Reply({"data": page, "next": page[-1]["id"] if len(found) > asked.limit else None})

    async def acknowledge(self, call: Call) -> Reply:
        merchant, said = merchant_of(self.catalogue(), call), call.body
        try:
            alert_id = read(ALERT, call.path["id"])
        except IdError:
            raise not_found("alert") from None
        try:
            seen = await self.store.acknowledge(
                merchant.merchant_id, alert_id, by=said.by, note=said.note, now=self.clock()
            )
        except AcknowledgedError:
            raise conflict(
                "already_acknowledged", "This alert was acknowledged before; what was noted stays."
            ) from None
        if seen is None:
            raise not_found("alert")
        return Reply(alert_object(seen))
