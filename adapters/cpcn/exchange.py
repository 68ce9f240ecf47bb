"""One exchange with CPCN: the request signed as the institution, the answer believed only if CPCN signed it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

import httpx

from adapters.account import AccountError, base_url, private_key, public_key, setting
from adapters.cpcn.codes import HANDLED
from adapters.cpcn.envelope import (
    Leaves,
    UnreadableError,
    UnwritableError,
    head_of,
    opened,
    request,
    sealed,
    signed,
    text_of,
)
from gateway.domain.failures import FailureCode as F
from gateway.domain.outcomes import Declined, NotSent, Unknown
from gateway.domain.redirects import Form
from gateway.domain.terms import Product, Terms
from gateway.ports import AccountSettings, NotSentError, Transport, TransportError

__all__ = ["Exchange", "Tx", "given"]

PATH: Final = "/Gateway/InterfaceII"
BROWSERS_PATH: Final = "/Gateway/InterfaceI"
CONNECT_TIMEOUT_S: Final = 5.0
_GIVEN = re.compile(r"[0-9A-Za-z]{1,32}")


@dataclass(frozen=True, slots=True)
class Tx:
    """One transaction of the protocol: its code, whose terms it has, and what names the order in the answer's body."""

    code: str
    product: Product
    name: str | None = None
    """None: the answer has a head alone."""
    in_head: bool = False
    """The order's number stands in the request's head."""
    in_body: bool = False
    """The institution stands in the request's body: so in the templates of payments on a page (H)."""


Failed = Declined | NotSent | Unknown
"""Nothing to be read came back: it could not be written, not be sent, or not be believed."""


class Exchange:
    """The keys and the address of one institution. Raises AccountError."""

    def __init__(self, account: AccountSettings, transport: Transport, terms: Mapping[Product, Terms]) -> None:
        self._transport, self._terms = transport, terms
        base = base_url(account)
        self._url, self._browsers_url = base + PATH, base + BROWSERS_PATH
        self.institution_id = given(account, "institution_id")
        self._key = private_key(account, "merchant_private_key")
        self.psp_key = public_key(account, "psp_certificate")

    async def __call__(self, tx: Tx, body: Mapping[str, str | Leaves] | None, number: str) -> Element | Failed:
        """Send once, and believe the answer only if CPCN signed it, about this order where it names one."""
        try:
            sent = self.request(tx, body, number)
        except UnwritableError as error:
            # NotSent would send it again for ever, Unknown would ask for ever about what never left.
            return Declined(F.CARD_UNSUPPORTED, channel_message=f"the request {error}")
        try:
            return self._believed(await self._transport(sent), tx, number)
        except NotSentError as error:
            return NotSent(str(error))
        except (TransportError, UnreadableError) as error:
            return Unknown(str(error))

    def request(self, tx: Tx, body: Mapping[str, str | Leaves] | None, number: str = "") -> httpx.Request:
        """A request as it goes out, signed. Raises UnwritableError."""
        timeout = httpx.Timeout(self._terms[tx.product].answer_timeout_s, connect=CONNECT_TIMEOUT_S)
        return httpx.Request(
            "POST",
            self._url,
            headers={"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"},
            content=sealed(self._written(tx, body, number), self._key),
            extensions={"timeout": timeout.as_dict()},
        )

    def brought(self, tx: Tx, body: Leaves, number: str) -> Form:
        """The form by which the payer's browser brings a request. Raises UnwritableError."""
        return Form(self._browsers_url, signed(self._written(tx, body, number), self._key))

    def _written(self, tx: Tx, body: Mapping[str, str | Leaves] | None, number: str) -> str:
        institution = {"InstitutionID": self.institution_id}
        if tx.in_body:
            return request({"TxCode": tx.code}, {**institution, **(body or {})})
        head = {**institution, "TxCode": tx.code}
        return request({**head, "TxSN": number} if tx.in_head else head, body)

    def _believed(self, response: httpx.Response, tx: Tx, number: str) -> Element:
        if response.status_code != httpx.codes.OK:
            raise UnreadableError(f"HTTP {response.status_code}")
        root = opened(response.content, self.psp_key)
        if text_of(root, "InstitutionID") not in {None, self.institution_id}:
            raise UnreadableError("an answer to another institution")
        if tx.name and head_of(root)[0] == HANDLED and text_of(root, tx.name) != number:
            # A true signature under the answer about another order proves nothing about this one.
            raise UnreadableError("an answer about another order")
        return root


def given(account: AccountSettings, field: str) -> str:
    """A setting that CPCN gave out: letters and digits. Raises AccountError."""
    value = setting(account, field)
    if not _GIVEN.fullmatch(value):
        raise AccountError(account, field, "must be letters and digits")
    return value
