"""What a payer does with his account at the bank: open it, bind a card, authorise withholds, give the card up.

Either a platform sends his browser there by a signed form, or he goes to the bank's own counter, `/lanmao/counter`.
"""

import secrets
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from aiohttp import web

from sandbox.lanmao import codes as table
from sandbox.lanmao.users import RECHARGE, User
from sandbox.lanmao.wire import Called, Fields, RefusedError, need
from sandbox.pages import WayBack, page

if TYPE_CHECKING:
    from sandbox.lanmao.provider import Lanmao

__all__ = ["SERVICES", "Counter"]

COUNTER: Final = "/lanmao/counter"
PAGE: Final = "/lanmao/accounts/{token}"
PAGES_KEPT: Final = 10_000
OPENING: Final = "PERSONAL_REGISTER_EXPAND"
UNBINDING: Final = "UNBIND_BANKCARD"
WITH_CARD: Final = frozenset({OPENING, "PERSONAL_BIND_BANKCARD_EXPAND"})
SERVICES: Final[Mapping[str, str]] = {
    OPENING: "开户并绑卡 Open an account",
    "PERSONAL_BIND_BANKCARD_EXPAND": "绑定银行卡 Bind a card",
    "USER_AUTHORIZATION": "用户授权 Authorise",
    UNBINDING: "解绑银行卡 Unbind the card",
}
ASKED: Final[Mapping[str, str]] = {
    "user_no": "用户编号 User number",
    "card_no": "银行卡号 Card number",
    "phone": "预留手机号 Phone",
    "bankcode": "银行 Bank (ICBK, ABOC, CMBC …)",
}


class Counter:
    """The pages about payers' accounts. They are forgotten when the sandbox ends; the accounts are not."""

    def __init__(self, provider: "Lanmao") -> None:
        self._provider = provider
        self._called: dict[str, Called] = {}

    def routes(self) -> Iterable[web.RouteDef]:
        """Where browsers go."""
        return [
            web.get(PAGE, self._show),
            web.post(PAGE, self._confirm),
            web.get(COUNTER, self._ask),
            web.post(COUNTER, self._serve),
        ]

    def clear(self) -> None:
        """Forget all pages."""
        self._called.clear()

    def open(self, called: Called) -> web.Response:
        """Send the browser that brought a form to the page about it. Raises RefusedError."""
        need(called.fields, "platformUserNo", "redirectUrl")
        if called.service in WITH_CARD:
            need(called.fields, "bankcardNo", "mobile")
        if called.service != OPENING and self._provider.users.get(called.fields["platformUserNo"]) is None:
            raise RefusedError(table.NOT_BOUND)
        token = secrets.token_urlsafe(16)
        self._called[token] = called
        if len(self._called) > PAGES_KEPT:
            self._called.pop(next(iter(self._called)))
        return web.Response(status=302, headers={"Location": PAGE.format(token=token), "Cache-Control": "no-store"})

    async def _show(self, request: web.Request) -> web.Response:
        called = self._called.get(request.match_info["token"])
        if called is None:
            return _ending("没有此页 There is no such page", status=404)
        fields, card = called.fields, called.fields.get("bankcardNo", "")
        told = {
            "用户 User": fields["platformUserNo"],
            "银行卡 Card": f"{card[:6]}******{card[-4:]}" if card else "",
            "授权 Authorised": fields.get("authList", ""),
        }
        choices = {"confirm": "确认 Confirm", "cancel": "取消 Cancel"}
        says = SERVICES[called.service]
        return page("account.html", says=says, told=told, asked={}, choices=choices, here=request.path)

    async def _confirm(self, request: web.Request) -> web.Response:
        called = self._called.get(request.match_info["token"])
        if called is None:
            return _ending("没有此页 There is no such page", status=404)
        url = called.fields["redirectUrl"]
        if (await request.post()).get("choice") != "confirm":
            return _ending("已取消 Cancelled", WayBack(url))
        said, says = self._done(called.service, called.fields)
        return _ending(says, self._provider.back_with(said, called.service, url))

    def _done(self, service: str, fields: Fields) -> tuple[dict[str, str], str]:
        """Do what the payer confirmed: what the platform is told, and what he reads."""
        users = self._provider.users
        user = users.open(fields["platformUserNo"])
        done = True
        if service in WITH_CARD:
            done = users.bind(user, fields["bankcardNo"], fields["mobile"], fields.get("bankcode", ""))
        elif service == UNBINDING:
            users.unbind(user)
        what = [word for word in fields.get("authList", "").split(",") if word]
        if what and done:
            users.authorise(user, [*user.authorised, *what])
        said = {"requestNo": fields["requestNo"], "platformUserNo": user.user_no}
        if done:
            said |= {"code": "0", "status": "SUCCESS", "auditStatus": "PASSED", "bankcode": user.bankcode}
            return said | {"authList": ",".join(user.authorised)}, _says(user, service in WITH_CARD, done=True)
        message = table.MESSAGES[table.NOT_AUTHENTICATED]
        said |= {"code": "1", "status": "INIT", "errorCode": table.NOT_AUTHENTICATED, "errorMessage": message}
        return said, _says(user, tried=True, done=False)

    # Without a platform

    async def _ask(self, request: web.Request) -> web.Response:
        choices = {"bind": "开户并绑卡 Open and bind", "authorise": "开户绑卡并授权代扣 … and authorise withholds"}
        says = "存管银行柜台 Custody bank's counter"
        return page("account.html", says=says, told={}, asked=ASKED, choices=choices, here=request.path)

    async def _serve(self, request: web.Request) -> web.Response:
        told = {name: str(text).strip() for name, text in (await request.post()).items()}
        card_no = told.get("card_no", "")
        if not told.get("user_no") or not (card_no.isascii() and card_no.isdecimal() and 12 <= len(card_no) <= 19):
            return _ending("请填写 Fill in all fields, the card with 12 to 19 digits", status=422)
        users = self._provider.users
        user = users.open(told["user_no"])
        done = users.bind(user, card_no, told.get("phone", ""), told.get("bankcode", ""))
        if done and told.get("choice") == "authorise":
            users.authorise(user, [*user.authorised, RECHARGE])
        return _ending(_says(user, tried=True, done=done))


def _says(user: User, tried: bool, *, done: bool) -> str:
    """What came of it, and whom the bank asked about the card in turn."""
    tries = " → ".join(f"{company} {'通过' if passed else '未通过'}" for company, passed in user.tries) if tried else ""
    return f"{'办理成功 Done' if done else '鉴权未通过 Not authenticated'}{f' ({tries})' if tries else ''}"


def _ending(says: str, way_back: WayBack | None = None, status: int = 200) -> web.Response:
    return page("ending.html", status, says=says, way_back=way_back, again="")
