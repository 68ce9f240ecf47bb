"""The custody bank's part of the control API: accounts, and what payers do on pages without a browser."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, cast

import orjson
from aiohttp import web

from sandbox.lanmao.codes import BANKS, COMPANIES
from sandbox.lanmao.users import User
from sandbox.pages import Choice

if TYPE_CHECKING:
    from sandbox.lanmao.provider import Lanmao

__all__ = ["UserControl"]

USERS: Final = "/_sandbox/lanmao/users"
CHOICES: Final = ("pay", "insufficient", "cancel")


class _WrongError(Exception):
    """The request is not what this call takes; the message says why."""


class UserControl:
    """The calls below `/_sandbox/lanmao` that no other provider has."""

    def __init__(self, provider: "Lanmao") -> None:
        self._provider = provider

    def routes(self) -> Iterable[web.RouteDef]:
        """Their addresses."""
        return [
            web.get(USERS, self._list),
            web.post(USERS, self._open),
            web.delete(f"{USERS}/{{user_no}}/card", self._unbind),
            web.post("/_sandbox/lanmao/pages", self._choose),
        ]

    async def _list(self, _: web.Request) -> web.Response:
        return _json({"users": [self._shown(user) for user in self._provider.users]})

    async def _open(self, request: web.Request) -> web.Response:
        """Open an account or change it: bind a card, authorise. 409 where every authenticator refuses the card."""
        try:
            told = await _body(request, {"user_no", "card_no", "phone", "bankcode", "authorised", "refused_by"})
            user_no, card_no = _text(told, "user_no"), _text(told, "card_no", "")
            bankcode, phone = _text(told, "bankcode", "ICBK"), _text(told, "phone", "13800000000")
            authorised, refused_by = _texts(told, "authorised"), _texts(told, "refused_by")
            if bankcode not in BANKS or not set(refused_by or ()) <= COMPANIES:
                raise _WrongError(
                    f"bankcode is one of {', '.join(BANKS)}; refused_by of {', '.join(sorted(COMPANIES))}"
                )
            if card_no and not (card_no.isascii() and card_no.isdecimal() and 12 <= len(card_no) <= 19):
                raise _WrongError("card_no must be 12 to 19 digits")
        except _WrongError as wrong:
            return _json({"error": str(wrong)}, 422)
        users, is_bound = self._provider.users, True
        user = users.open(user_no)
        if card_no:
            is_bound = users.bind(user, card_no, phone, bankcode, refused_by)
        if authorised is not None:
            users.authorise(user, authorised)
        return _json(self._shown(user), 201 if is_bound else 409)

    async def _unbind(self, request: web.Request) -> web.Response:
        user = self._provider.users.get(request.match_info["user_no"])
        if user is None:
            return _json({"error": "there is no such user_no"}, 404)
        self._provider.users.unbind(user)
        return _json(self._shown(user))

    async def _choose(self, request: web.Request) -> web.Response:
        """Choose on the page of a recharge as its payer; `back`: what the browser would bring the platform then."""
        try:
            told = await _body(request, {"order_no", "choice"})
            order_no, choice = _text(told, "order_no"), _text(told, "choice")
            if choice not in CHOICES:
                raise _WrongError(f"choice is one of {', '.join(CHOICES)}")
        except _WrongError as wrong:
            return _json({"error": str(wrong)}, 422)
        clerk, order = self._provider.clerk, self._provider.books.get(order_no)
        if order is None or order.kind != "recharge":
            return _json({"error": "no page was opened for this order_no"}, 404)
        ending = clerk.choose(order_no, cast("Choice", choice))
        way_back = ending.way_back
        back = None if way_back is None else {"url": way_back.url, "fields": dict(way_back.fields)}
        return _json({**order.shown(), "says": ending.says, "back": back})

    def _shown(self, user: User) -> dict[str, Any]:
        return user.shown(self._provider.transactions.balance(user.user_no))


async def _body(request: web.Request, names: set[str]) -> dict[str, Any]:
    try:
        body = orjson.loads(await request.read())
    except orjson.JSONDecodeError:
        raise _WrongError("the body must be JSON") from None
    if not isinstance(body, dict) or not body.keys() <= names:
        raise _WrongError(f"the body must be an object of {', '.join(sorted(names))}")
    return body


def _text(told: dict[str, Any], name: str, default: str | None = None) -> str:
    text = told.get(name, default)
    if not isinstance(text, str) or len(text) > 64 or (default is None and not text):
        raise _WrongError(f"{name} must be a text")
    return text


def _texts(told: dict[str, Any], name: str) -> list[str] | None:
    texts = told.get(name)
    if texts is not None and not (isinstance(texts, list) and all(isinstance(text, str) for text in texts)):
        raise _WrongError(f"{name} must be a list of texts")
    return texts


def _json(content: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(content), status=status, content_type="application/json")
