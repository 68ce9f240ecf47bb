"""The settings' keys: as the gateway uses them, and as a child process gets them."""

from gateway.settings import MAKE_KEY, Settings
from gateway.storage.keys import KeyRingError, Keys

__all__ = ["key_environment", "keys_of"]


def keys_of(settings: Settings) -> Keys:
    """The key ring and the order key. Raises KeyRingError, which says what to do."""
    if settings.card_keys is None:
        raise KeyRingError("SLUICE_CARD_KEYS is not set: cards and the catalogue's secrets are encrypted with it")
    if settings.order_key is None:
        raise KeyRingError(
            "SLUICE_ORDER_KEY is not set: repeated orders and known cards are recognized by it. If this system has "
            f"one, it must be that one, for ever; else make one with: {MAKE_KEY}"
        )
    card_keys, order_key = settings.card_keys.get_secret_value(), settings.order_key.get_secret_value()
    return Keys.parse(card_keys, settings.card_primary, order_key)


def key_environment(settings: Settings) -> dict[str, str]:
    """What a child process needs to have the same keys."""
    given = {"SLUICE_CARD_PRIMARY": "" if settings.card_primary is None else str(settings.card_primary)}
    if settings.card_keys is not None:
        given["SLUICE_CARD_KEYS"] = settings.card_keys.get_secret_value()
    if settings.order_key is not None:
        given["SLUICE_ORDER_KEY"] = settings.order_key.get_secret_value()
    return given
