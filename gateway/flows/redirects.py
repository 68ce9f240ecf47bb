"""Payments on a page of a bank or a PSP: the form that brings the payer's browser there, and the way back."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Protocol
from uuid import UUID

from gateway.domain.catalogue import Catalogue
from gateway.domain.ids import PAYMENT, show
from gateway.domain.payments import Payment
from gateway.domain.redirects import Form
from gateway.domain.return_urls import with_payment
from gateway.domain.statuses import Status
from gateway.ports import NoSuchCommandError, Providers, Redirect, UnusableAccountError

__all__ = ["Redirects"]


class Forms(Protocol):
    """Builds forms."""

    async def form(self, merchant_id: UUID, account: str, command: Redirect) -> Form: ...


class PageReading(Protocol):
    """Reads what pages show."""

    async def payment(self, merchant_id: UUID, payment_id: UUID) -> Payment | None: ...

    async def return_url(self, merchant_id: UUID, payment_id: UUID) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Redirects:
    """What leads payers to their PSP and back. `public_base`: the address that their browsers reach us at."""

    providers: Providers
    forms: Forms
    reading: PageReading
    catalogue: Callable[[], Catalogue]
    clock: Callable[[], datetime]
    token_of: Callable[[UUID, UUID], str]
    payment_of: Callable[[str], tuple[UUID, UUID] | None]
    """Of the token of a page: merchant and payment; None: it is none of ours."""
    public_base: str
    checkout_page: Callable[[UUID, UUID], str]
    """Of merchant and checkout: the address of its page."""

    async def of_token(self, token: str) -> Payment | None:
        """The payment of a page."""
        named = self.payment_of(token)
        return await self.reading.payment(*named) if named else None

    async def of_return(
        self, account_name: str, token: str | None, heard_of: tuple[UUID, UUID] | None
    ) -> Payment | None:
        """Whose payer came back to an account's address: of the payment that the PSP named, else of the token."""
        payment = await self.reading.payment(*heard_of) if heard_of else None
        if payment is None and token:  # what was brought may be about a refund
            payment = await self.of_token(token)
        if payment is None:
            return None
        account = self.catalogue().account_of_callback(account_name)
        fits = account is not None and (account.merchant_id, account.code) == (payment.merchant_id, payment.account)
        return payment if fits else None

    def merchant_name(self, payment: Payment) -> str:
        """What the payer knows the merchant by."""
        merchant = self.catalogue().merchants.get(payment.merchant_id)
        return merchant.name if merchant else ""

    def page_of(self, payment: Payment) -> str:
        """Our page of a payment."""
        return f"{self.public_base}/pay/{self.token_of(payment.merchant_id, payment.payment_id)}"

    def may_go(self, payment: Payment) -> bool:
        """Whether the payer may still be brought to the PSP's page. Raises ClockOffError where nobody can tell."""
        waits = payment.status is Status.REQUIRES_ACTION and payment.is_on_a_page
        return waits and payment.expires_at is not None and self.clock() < payment.expires_at

    def seconds_left(self, payment: Payment) -> int:
        """For how long the payer may still go, rounded up."""
        assert payment.expires_at is not None
        return ceil((payment.expires_at - self.clock()).total_seconds())

    async def form(self, payment: Payment) -> Form:
        """The form of a payment that waits on a page, the same each time.

        Raises UnusableAccountError where its account cannot be used now.
        """
        intent, expires_at = payment.attempt, payment.expires_at
        assert intent is not None
        assert expires_at is not None
        catalogue, merchant_id = self.catalogue(), payment.merchant_id
        back = f"{self.public_base}/return/{catalogue.code_of(merchant_id)}.{intent.account}"
        command = Redirect(
            number=intent.number,
            told_at=intent.told_at,
            scene=payment.scene,
            amount=payment.amount,
            bank=payment.bank,
            user_id=payment.user_id,
            description=payment.description or payment.merchant_order_no,
            notify_url=self.providers.notify_url(merchant_id, intent.account),
            return_url=f"{back}/{self.token_of(merchant_id, payment.payment_id)}",
            expires_at=expires_at,
            psp_code=payment.psp_code,
            custody_user_no=payment.custody_number,
        )
        try:
            return await self.forms.form(merchant_id, intent.account, command)
        except NoSuchCommandError:  # its settings said what pages need when this was opened, and say it no more
            raise UnusableAccountError(intent.account) from None

    async def way_back(self, payment: Payment) -> str | None:
        """Where the payer belongs after the PSP's page: on their checkout, or where the app says; None: nowhere."""
        if payment.checkout is not None:
            return self.checkout_page(payment.merchant_id, payment.checkout.checkout_id)
        return_url = await self.reading.return_url(payment.merchant_id, payment.payment_id)
        return with_payment(return_url, show(PAYMENT, payment.payment_id)) if return_url else None
