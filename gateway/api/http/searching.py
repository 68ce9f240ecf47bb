"""Pages of searches, which are cut where they would look at too much: each says so, and how to narrow it."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from gateway.api.http.answers import AnswerModel
from gateway.domain.ids import show
from gateway.ports import Found

__all__ = ["CutPage", "search_page"]

NARROW = {
    "en": "The search looked at as much as one page may, and is cut here. Go on with `next`, or narrow it: by a number,"
    " a user, or a shorter time.",
    "zh": "本页查找的记录已达上限，到此为止。请用 next 继续，或缩小范围：加上单号、用户或更短的时间。",
}
NARROW_CARDS = {
    "en": "Too many cards look like this one. Narrow the search: give the user, or a number.",
    "zh": "符合的银行卡太多。请缩小范围：加上用户或单号。",
}


class CutPage(AnswerModel):
    """A page of a search that may have been cut."""

    cut: Annotated[
        bool, Field(description="the search looked at as much as one page may, and found no more: there may be others")
    ]
    narrow: Annotated[str | None, Field(description="how to narrow a search that was cut; null: it was not")]


def search_page(
    found: Found[Any],
    ids: Sequence[UUID],
    shown: Sequence[dict[str, Any]],
    limit: int,
    prefix: str,
    language: Literal["en", "zh"],
) -> dict[str, Any]:
    """The page of what was found: of `limit` + 1 at most, since one more tells whether there is a next page."""
    if len(shown) > limit:
        after, narrow = ids[limit - 1], None
    elif found.cut_at is not None:
        after, narrow = found.cut_at, NARROW[language]
    else:
        after, narrow = None, NARROW_CARDS[language] if found.cut else None
    return {
        "data": list(shown[:limit]),
        "next": None if after is None else show(prefix, UUID(int=after.int)),
        "cut": narrow is not None,
        "narrow": narrow,
    }
