"""What a provider can carry at all: what would certainly fail there is known before anything is sent."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from gateway.domain.cards import CardElements
from gateway.domain.identities import IdType, is_residence_permit
from gateway.domain.scenes import Scene
from router.facts import Unfit

__all__ = ["ID_CARDS", "NO_CODES", "Carries", "CarriesOf", "Ways", "carries_all"]

ID_CARDS: Final = frozenset({IdType.ID_CARD})


@dataclass(frozen=True, slots=True)
class Ways:
    """How an account can authenticate cards, by what its adapter can do."""

    silent: bool = True
    """It binds a card without the payer."""
    signs: bool = False
    """It binds a card by an SMS."""
    by_pay: bool = False
    """The SMS of a payment is sent by asking to pay without a code."""
    code_wants_agreement: bool = False
    """A payment by code needs the card to be bound first."""
    ends_order: bool = False
    """A code that is wrong ends the order at the PSP."""
    authenticated_scenes: frozenset[Scene] = frozenset()
    """Scenes that are paid by an agreement or a code alone."""
    codeless_scenes: frozenset[Scene] = frozenset()
    """Scenes whose payments have no code of their own."""


NO_CODES: Final = Ways()


@dataclass(frozen=True, slots=True)
class Carries:
    """The cards that a wire protocol can say: of which banks (None: any), names in which charset, which papers.

    `ways`: how the account can authenticate them; an adapter's declaration leaves that to its commands.
    """

    banks: frozenset[str] | None = None
    charset: str = "utf-8"
    id_types: frozenset[IdType] = ID_CARDS
    ways: Ways = NO_CODES
    residence_permits: bool = True
    """Those of people from Hong Kong, Macau and Taiwan, as ID cards."""
    page_banks: frozenset[str] | None = None
    """Banks of what is paid without a card, on a page; None: the same as of cards."""

    def knows(self, bank: str, *, by_card: bool) -> bool:
        """Whether the protocol can name a bank, for payments by card or for those on its page."""
        banks = self.banks if by_card or self.page_banks is None else self.page_banks
        return banks is None or bank in banks

    def why_not(self, bank: str, card: CardElements | None) -> Unfit | None:
        """Why a card cannot be carried, or a payment without one; None: it can."""
        if not self.knows(bank, by_card=card is not None):
            return "bank_unsupported"
        if card is None:
            return None
        if not self._writes(card.holder_name):
            return "name_unwritable"
        permit = not self.residence_permits and is_residence_permit(card.id_type, card.id_no)
        return "id_type_unsupported" if permit or card.id_type not in self.id_types else None

    def _writes(self, name: str) -> bool:
        try:
            name.encode(self.charset)
        except UnicodeEncodeError:
            return False
        return True


_ALL: Final = Carries(id_types=frozenset(IdType))

CarriesOf = Callable[[UUID, str], Carries]
"""What the provider of a merchant's account carries."""


def carries_all(_merchant_id: UUID, _account: str) -> Carries:
    """A `CarriesOf` that knows nothing against any card."""
    return _ALL
