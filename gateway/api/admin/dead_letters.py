"""Dead letters: what could not be delivered."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, Protocol, TypeAlias
from uuid import UUID

from pydantic import BaseModel, Field, PlainValidator, WithJsonSchema

from gateway.api.admin.paths import MERCHANT, MERCHANT_ABOUT, TAGS, merchant_of
from gateway.api.http.fields import PAGE, Code, PageSize, QueryModel, wrong
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.catalogue import Catalogue
from gateway.domain.events import DeadLetter
from gateway.domain.ids import ENDPOINT, EVENT, read
from gateway.objects.events import dead_letter_object

__all__ = ["DeadLetterCalls", "DeadLetters"]

_ID = "[0-7][0-9a-hjkmnp-tv-z]{25}"
_PLACE = rf"^{EVENT}_{_ID}\.{ENDPOINT}_{_ID}$"


class DeadLetters(Protocol):
    """Where dead letters are read: a `DeliveryStore`."""

    async def dead_letters(
        self, merchant_id: UUID, limit: int, before: tuple[UUID, UUID] | None = None
    ) -> list[DeadLetter]:
        """What was given up, newest first, after the (event, endpoint) `before`."""
        ...


def _place(value: object) -> tuple[UUID, UUID]:
    try:
        event, endpoint = str(value).split(".")
        return read(EVENT, event), read(ENDPOINT, endpoint)
    except ValueError:  # IdError is one
        raise wrong("place", "must be the next of the page before") from None


if TYPE_CHECKING:
    Place: TypeAlias = tuple[UUID, UUID]
else:
    Place = Annotated[tuple[UUID, UUID], PlainValidator(_place), WithJsonSchema({"type": "string", "pattern": _PLACE})]


class DeadLetterSearch(QueryModel):
    """Dead letters, newest first. `after` is the `next` of the page before."""

    limit: PageSize = PAGE
    after: Place | None = None


class DeadLetterAnswer(BaseModel):
    """A delivery that was given up: what it was about, and how its last try ended."""

    object: Literal["dead_letter"]
    event: str
    endpoint: str
    endpoint_code: Annotated[Code | None, Field(description="its name in the catalogue file")]
    app: Annotated[Code | None, Field(description="whose event it is; null: no app's")]
    type: str
    object_id: str
    sequence: int
    created_at: str
    tries: int
    last_status: int | None
    last_error: str | None


class DeadLetterPage(BaseModel):
    """Dead letters, newest first."""

    data: list[DeadLetterAnswer]
    next: Annotated[str | None, Field(description="give it as `after` for the next page; null: no more")]


@dataclass(frozen=True, slots=True)
class DeadLetterCalls:
    """The call of dead letters. `catalogue`: the one in force."""

    store: DeadLetters
    catalogue: Callable[[], Catalogue]

    def routes(self) -> list[Route]:
        """The route of dead letters."""
        return [
            Route(
                "GET",
                f"{MERCHANT}/dead_letters",
                self.dead_letters,
                "what could not be delivered, newest first",
                TAGS,
                {200: Answer(DeadLetterPage, "one page")},
                scope="admin",
                query=DeadLetterSearch,
                path_about=MERCHANT_ABOUT,
            )
        ]

    async def dead_letters(self, call: Call) -> Reply:
        merchant, asked = merchant_of(self.catalogue(), call), call.query
        # One more than the page tells whether there is a next one.
        found = await self.store.dead_letters(merchant.merchant_id, asked.limit + 1, asked.after)
        page = [dead_letter_object(letter) for letter in found[: asked.limit]]
        more = len(found) > asked.limit
        return Reply({"data": page, "next": f"{page[-1]['event']}.{page[-1]['endpoint']}" if more else None})
