"""Pages that bring a payer to the PSP, and where they come back to."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from gateway.api.http.needs import ComesBack, RedirectsFlow
from gateway.api.http.problems import not_found
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.payments import Payment
from gateway.domain.redirects import Form
from gateway.domain.statuses import Status
from gateway.pages.rendering import STATIC, page_headers, rendered, static_file
from gateway.ports import CallbackRequest, UnusableAccountError

__all__ = ["RedirectCalls", "form_object"]

TAGS = ("payer",)
_FOR_AN_HOUR = {"Cache-Control": "public, max-age=3600"}
_SEE_OTHER = 303


def form_object(form: Form) -> dict[str, object]:
    """A form for apps that send it themselves: as it is, in its charset."""
    return {"action": form.url, "method": form.method, "charset": form.charset, "fields": dict(form.fields)}


@dataclass(frozen=True, slots=True)
class RedirectCalls:
    """The way to the PSP's page and back."""

    redirects: RedirectsFlow
    returns: ComesBack
    zone: ZoneInfo

    def routes(self) -> list[Route]:
        """The routes of payers on their way."""
        page = {
            200: Answer(None, "The page.", content_type="text/html"),
            303: Answer(None, "Where the payer belongs, once the payment has ended.", content_type="*/*"),
        }
        back = {
            200: Answer(None, "A page for a payer of whom nothing is known.", content_type="text/html"),
            303: Answer(None, "Where the payer belongs: `return_url?payment=…`, or our page.", content_type="*/*"),
        }
        about = {"account": "the account's name, merchant.account", "token": "names the payment"}
        said = (
            "The payer's browser comes back from the PSP. What it brings is verified like a callback and changes "
            "nothing if it is unsigned; the payer is always brought on."
        )
        returns = [
            Route(method, f"/return/{{account}}{token}", self.come_back, "A payer comes back", TAGS, back,
                  scope="none", raw_body=method == "POST", path_about=about if token else {"account": about["account"]},
                  description=said)
            for method in ("GET", "POST") for token in ("", "/{token}")
        ]  # fmt: skip
        return [
            Route("GET", "/pay/{token}", self.page, "Bring the payer to the payment page", TAGS, page, scope="none",
                  path_about={"token": about["token"]}, problems=(503,),
                  description="`next_action.url`: posts the form by itself, or by a button if script is off. "
                  "With `?stay`, as for a payer who came back, only by the button."),
            Route("GET", "/pages/{file}", self.file, "What pages load", TAGS, page, scope="none",
                  path_about={"file": "its name"}),
            *returns,
        ]  # fmt: skip

    async def page(self, call: Call) -> Reply:
        payment = await self.redirects.of_token(call.path["token"])
        if payment is None:
            raise not_found("page")
        if not self.redirects.may_go(payment):
            return await self._told(call, payment)
        try:
            form = await self.redirects.form(payment)
        except UnusableAccountError:
            return await self._told(call, payment)
        body = rendered(
            "go.html",
            call.language,
            charset=form.charset,
            form=form,
            merchant=self.redirects.merchant_name(payment),
            amount=_yuan(payment.amount),
            stay="stay" in call.request.query,
            until=self._until(payment),
        )
        # A form that was left on the screen would begin the PSP's time anew: then the page is loaded again.
        headers = {**page_headers(form.charset, form), "Refresh": str(max(1, self.redirects.seconds_left(payment)))}
        return Reply(body, content_type=f"text/html; charset={form.charset}", headers=headers)

    def _until(self, payment: Payment) -> str:
        assert payment.expires_at is not None
        opened, until = payment.created_at.astimezone(self.zone), payment.expires_at.astimezone(self.zone)
        return until.strftime("%H:%M" if until.date() == opened.date() else "%Y-%m-%d %H:%M")

    async def _told(self, call: Call, payment: Payment) -> Reply:
        """How it stands: nobody is brought anywhere any more."""
        back = await self.redirects.way_back(payment)
        if back is not None and payment.is_final:
            return Reply(b"", _SEE_OTHER, "text/plain", {"Location": back})
        zh = call.language == "zh"
        late = payment.attempt is not None and payment.attempt.late_success  # its money moved after it had ended
        title, text = (_WAITING if late else _WORDS.get(payment.status, _WAITING))[zh]
        body = rendered("told.html", call.language, title=title, text=text, back=back,
                        merchant=self.redirects.merchant_name(payment), amount=_yuan(payment.amount))  # fmt: skip
        return Reply(body, content_type="text/html; charset=utf-8", headers=page_headers())

    async def file(self, call: Call) -> Reply:
        name = call.path["file"]
        if name not in STATIC:
            raise not_found("file")
        data, content_type = static_file(name)
        return Reply(data, content_type=content_type, headers=_FOR_AN_HOUR)

    async def come_back(self, call: Call) -> Reply:
        request = call.request
        callback = CallbackRequest(request.method, request.rel_url.raw_query_string, request.headers, call.raw)
        heard_of = await self.returns.came_back(call.path["account"], callback)
        payment = await self.redirects.of_return(call.path["account"], call.path.get("token"), heard_of)
        if payment is None:
            zh = call.language == "zh"
            title, text = _NOBODY[zh]
            body = rendered("told.html", call.language, title=title, text=text, back=None, merchant=None, amount=None)
            return Reply(body, content_type="text/html; charset=utf-8", headers=page_headers())
        # Who came back without having paid is not sent to the bank again before they wish it.
        back = await self.redirects.way_back(payment) or f"{self.redirects.page_of(payment)}?stay=1"
        return Reply(b"", _SEE_OTHER, "text/plain", {"Location": back})


def _yuan(amount: int) -> str:
    return f"{amount // 100:,}.{amount % 100:02d}"


# By whether it is Chinese.
_WAITING = {
    True: ("支付结果确认中", "如已付款，请稍候，无需重复支付。"),
    False: ("The result is being confirmed", "If you have paid, please wait: there is no need to pay again."),
}
_NOBODY = {
    True: ("请返回商户页面查看", "未找到对应的支付，请到商户处查看支付结果。"),
    False: ("Please go back to the merchant", "No payment was found here: see the merchant's page for the result."),
}
_WORDS = {
    Status.SUCCEEDED: {
        True: ("支付成功", "您可以关闭此页面。"),
        False: ("Paid", "You may close this page."),
    },
    Status.FAILED: {
        True: ("支付未成功", "本次没有扣款，可返回商户重新支付。"),
        False: ("Not paid", "Nothing was charged. Go back to the merchant to pay again."),
    },
    Status.CLOSED: {
        True: ("支付已关闭", "本次支付已超时或取消，没有扣款。"),
        False: ("Closed", "The payment was cancelled or its time is over. Nothing was charged."),
    },
}
