"""The accounts of the catalogue in force, each with its adapter; rebuilt when the catalogue changes."""

from collections.abc import Callable
from uuid import UUID

from adapters.account import account_settings
from adapters.registry import AccountError, build
from gateway.domain.carrying import Carries, carries_all
from gateway.domain.catalogue import Account, Catalogue
from gateway.domain.terms import Product, Terms
from gateway.logs import get
from gateway.ports import PLACE_WITHIN_S, AccountSettings, Provider, Transport, UnusableAccountError

log = get(__name__)

Build = Callable[[AccountSettings, Transport], Provider]


class AdapterProviders:
    """Implements `ports.Providers` and `ports.TermsOf` over one transport."""

    def __init__(self, transport: Transport, callback_base: str, build_provider: Build = build) -> None:
        self._transport = transport
        self._callback_base = callback_base
        self._build = build_provider
        self._built: dict[tuple[UUID, str], tuple[Account, Provider]] = {}
        self._merchant_codes: dict[UUID, str] = {}
        self._place_within_s = 0.0

    def take(self, catalogue: Catalogue) -> None:
        """Build the adapters of new and changed accounts. One that cannot be built keeps its old adapter."""
        self._merchant_codes = {merchant.merchant_id: merchant.code for merchant in catalogue.merchants.values()}
        limits = (channel.limits.calls_at_once for channel in catalogue.channels.values())
        self._place_within_s = PLACE_WITHIN_S if any(limits) else 0.0
        for key, account in catalogue.accounts.items():
            known = self._built.get(key)
            if known is not None and known[0] == account:
                continue
            try:
                provider = self._build(account_settings(account), self._transport)
            except AccountError as error:
                log.error("account cannot be used", account=account.code, reason=str(error))
            except Exception:
                # Whatever it is, the accounts after it are not to go without an adapter.
                log.exception("account cannot be used", account=account.code)
            else:
                self._built[key] = (account, provider)

    def provider(self, merchant_id: UUID, account: str) -> Provider:
        """The adapter bound to an account. Raises UnusableAccountError when its settings could never be used."""
        built = self._built.get((merchant_id, account))
        if built is None:
            raise UnusableAccountError(account)
        return built[1]

    def terms(self, merchant_id: UUID, account: str, product: Product) -> Terms:
        """The terms of an account's product. Raises KeyError for one that its provider does not have."""
        return self.provider(merchant_id, account).declaration.terms[product]

    def carries(self, merchant_id: UUID, account: str) -> Carries:
        """What an account's provider carries; of one that cannot be used nothing is known."""
        built = self._built.get((merchant_id, account))
        return carries_all(merchant_id, account) if built is None else built[1].declaration.carries

    def longest_call_s(self) -> float:
        """The longest that one call to any PSP may take, the wait for its place on a full channel included."""
        terms = (terms for _, provider in self._built.values() for terms in provider.declaration.terms.values())
        return max((each.answer_timeout_s for each in terms), default=0.0) + self._place_within_s

    def notify_url(self, merchant_id: UUID, account: str) -> str:
        """Where the account's PSP sends its callbacks: the address carries the merchant."""
        return f"{self._callback_base}/callbacks/{self._merchant_codes[merchant_id]}.{account}"
