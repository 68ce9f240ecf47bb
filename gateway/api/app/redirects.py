"""Pages that bring a payer to the PSP, and where they come back to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from aiohttp import hdrs

from gateway.api.http.needs import ComesBack, RedirectsFlow
from gateway.api.http.page_answers import page, switch_of
from gateway.api.http.problems import not_found
from gateway.api.http.routing import Answer, Call, Reply, Route
from gateway.domain.payments import Payment
from gateway.domain.redirects import Form
from gateway.domain.statuses import Status
from gateway.pages.rendering import page_headers, rendered
from gateway.pages.static_files import STATIC, static_file
from gateway.pages.wording import Text, clock, said
from gateway.ports import CallbackRequest, UnusableAccountError

__all__ = ["RedirectCalls", "form_object"]

TAGS = ("payer",)
_FOR_GOOD: Final = "public, max-age=31536000, immutable"
_ASK_EACH_TIME: Final = "no-cache"
"""Of a file whose version is not the one that was asked for: a process of another version wrote the page."""
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
        brought = (
            "The payer's browser comes back from the PSP. What it brings is verified like a callback and changes "
            "nothing if it is unsigned; the payer is always brought on."
        )
        returns = [
            Route(method, f"/return/{{account}}{token}", self.come_back, "A payer comes back", TAGS, back,
                  scope="none", raw_body=method == "POST", page=True, description=brought,
                  path_about=about if token else {"account": about["account"]})
            for method in ("GET", "POST") for token in ("", "/{token}")
        ]  # fmt: skip
        return [
            Route("GET", "/pay/{token}", self.page, "Bring the payer to the payment page", TAGS, page, scope="none",
                  path_about={"token": about["token"]}, problems=(503,), page=True,
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
            amount=payment.amount,
            stay="stay" in call.request.query,
            until=self._until(call, payment),
            switch=switch_of(call.request, call.language),
        )
        # A form that was left on the screen would begin the PSP's time anew: then the page is loaded again.
        headers = {**page_headers(form.charset, form), "Refresh": str(max(1, self.redirects.seconds_left(payment)))}
        return Reply(body, content_type=f"text/html; charset={form.charset}", headers=headers)

    def _until(self, call: Call, payment: Payment) -> str:
        assert payment.expires_at is not None
        return clock(payment.expires_at, payment.created_at, self.zone, call.language)

    async def _told(self, call: Call, payment: Payment) -> Reply:
        """How it stands: nobody is brought anywhere any more."""
        back = await self.redirects.way_back(payment)
        if back is not None and (payment.is_final or payment.checkout is not None):
            return Reply(b"", _SEE_OTHER, "text/plain", {"Location": back})
        late = payment.attempt is not None and payment.attempt.late_success  # its money moved after it had ended
        words = _WAITING if late else _WORDS.get(payment.status, _WAITING)
        return _tell(call, words, back, self.redirects.merchant_name(payment), payment.amount)

    async def file(self, call: Call) -> Reply:
        name = call.path["file"]
        if name not in STATIC:
            raise not_found("file")
        file, asked = static_file(name), call.request.query.get("v")
        headers = {
            "Cache-Control": _FOR_GOOD if asked == file.version else _ASK_EACH_TIME,
            "Vary": hdrs.ACCEPT_ENCODING,
        }
        if "gzip" in call.request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            return Reply(
                file.compressed, content_type=file.content_type, headers={**headers, "Content-Encoding": "gzip"}
            )
        return Reply(file.content, content_type=file.content_type, headers=headers)

    async def come_back(self, call: Call) -> Reply:
        request = call.request
        callback = CallbackRequest(request.method, request.rel_url.raw_query_string, request.headers, call.raw)
        heard_of = await self.returns.came_back(call.path["account"], callback)
        payment = await self.redirects.of_return(call.path["account"], call.path.get("token"), heard_of)
        if payment is None:
            return _tell(call, _NOBODY)
        # Who came back without having paid is not sent to the bank again before they wish it.
        back = await self.redirects.way_back(payment) or f"{self.redirects.page_of(payment)}?stay=1"
        if payment.checkout is not None:  # perhaps it is paid, and the word of it is on its way
            back += "?back=1"
        return Reply(b"", _SEE_OTHER, "text/plain", {"Location": back})


def _tell(
    call: Call,
    words: tuple[Text, Text],
    back: str | None = None,
    merchant: str | None = None,
    amount: int | None = None,
) -> Reply:
    title, text = (said(each, call.language) for each in words)
    return page("told.html", call.request, call.language, title=title, text=text, back=back, merchant=merchant,
                amount=amount, again=None)  # fmt: skip


_WAITING: Final = (
    Text("The result is being confirmed"),
    Text("If you have paid, please wait: there is no need to pay again."),
)
_NOBODY: Final = (
    Text("Please go back to the merchant"),
    Text("No payment was found here: see the merchant's page for the result."),
)
_WORDS: Final[Mapping[Status, tuple[Text, Text]]] = {
    Status.SUCCEEDED: (Text("Paid"), Text("You may close this page.")),
    Status.FAILED: (Text("Not paid"), Text("Nothing was charged. Go back to the merchant to pay again.")),
    Status.CLOSED: (Text("Closed"), Text("The payment was cancelled or its time is over. Nothing was charged.")),
}
