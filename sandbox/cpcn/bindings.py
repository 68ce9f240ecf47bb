"""Cards that the institution has bound, each under the number of its binding; and what waits for an SMS code."""

from dataclasses import dataclass, field
from pathlib import Path

from cryptography.fernet import Fernet

from sandbox.books import Books
from sandbox.journal import JournalUnreadableError
from sandbox.magic import pays

__all__ = ["Awaited", "Binding", "Bindings", "Seal"]


class Seal:
    """Hides phones in the journal: an SMS for a payment goes to the phone of the binding, also after a restart."""

    def __init__(self, key_file: Path | None) -> None:
        if key_file is None:
            self._key = Fernet(Fernet.generate_key())
            return
        if not key_file.exists():
            key_file.parent.mkdir(parents=True, exist_ok=True)
            key_file.touch(mode=0o600)
            key_file.write_bytes(Fernet.generate_key())
        self._key = Fernet(key_file.read_bytes())

    def hidden(self, text: str) -> str:
        """The text as it may be written down."""
        return self._key.encrypt(text.encode()).decode("ascii")

    def shown(self, hidden: str) -> str:
        """The text again. Raises ValueError for what another key hid."""
        try:
            return self._key.decrypt(hidden.encode("ascii")).decode()
        except Exception as error:
            raise ValueError("hidden by another key") from error


@dataclass(slots=True)
class Binding:
    """One bound card; `phone` is hidden."""

    number: str
    card: str
    phone: str = field(repr=False)
    live: bool = True
    pays: bool = True
    """Whether the phone is the one that is reserved for payments."""


@dataclass(frozen=True, slots=True, repr=False)
class Awaited:
    """What an SMS was sent for: the card (masked), its phone, and of a payment its binding and amount."""

    card: str
    phone: str
    binding: str = ""
    amount: int = 0


class Bindings:
    """All bindings of the institution; one that was given up stays known and dead."""

    def __init__(self, books: Books, seal: Seal) -> None:
        self._books = books
        self._seal = seal
        self._by_number: dict[str, Binding] = {}
        for entry in books.others:
            if "binding" not in entry:
                continue
            try:
                binding = Binding(**entry["binding"])
                seal.shown(binding.phone)
            except (TypeError, ValueError) as error:
                raise JournalUnreadableError("a binding in the journal was written by another version") from error
            self._by_number[binding.number] = binding

    def bind(self, number: str, card: str, phone: str) -> None:
        """A card is bound from now on."""
        self._save(Binding(number, card, self._seal.hidden(phone), pays=pays(card[-4:], phone)))

    def give_up(self, binding: Binding) -> None:
        """The binding is dead from now on."""
        binding.live = False
        self._save(binding)

    def get(self, number: str) -> Binding | None:
        """The binding of this number, a dead one, too."""
        return self._by_number.get(number)

    def phone_of(self, binding: Binding) -> str:
        """Where its SMS go."""
        return self._seal.shown(binding.phone)

    def clear(self) -> None:
        """Forget all bindings."""
        self._by_number.clear()

    def _save(self, binding: Binding) -> None:
        self._by_number[binding.number] = binding
        self._books.note({"binding": binding})
