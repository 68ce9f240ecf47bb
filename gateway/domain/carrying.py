"""What a provider can carry at all: what would certainly fail there is known before anything is sent."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from gateway.domain.cards import CardElements
from gateway.domain.identities import IdType
from router.facts import Unfit

__all__ = ["ID_CARDS", "Carries", "CarriesOf", "carries_all"]

ID_CARDS: Final = frozenset({IdType.ID_CARD})


@dataclass(frozen=True, slots=True)
class Carries:
    """The cards that a wire protocol can say: of which banks (None: any), names in which charset, which papers."""

    banks: frozenset[str] | None = None
    charset: str = "utf-8"
    id_types: frozenset[IdType] = ID_CARDS

    def why_not(self, bank: str, card: CardElements | None) -> Unfit | None:
        """Why a card cannot be carried, or a payment without one; None: it can."""
        if self.banks is not None and bank not in self.banks:
            return "bank_unsupported"
        if card is None:
            return None
        if not self._writes(card.holder_name):
            return "name_unwritable"
        return None if card.id_type in self.id_types else "id_type_unsupported"

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
