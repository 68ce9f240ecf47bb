"""Reading an account's settings and secrets when its adapter is built: every complaint names account and field."""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from adapters.signing import SigningError, load_certificate, load_private_key, load_public_key
from gateway.domain.catalogue import Account
from gateway.domain.catalogue_content import AccountContent
from gateway.ports import AccountSettings, Declaration, NotFoundRule, PollPlan

__all__ = [
    "AccountError",
    "account_settings",
    "base_url",
    "certificate",
    "declared",
    "private_key",
    "public_key",
    "secret",
    "setting",
]

MAX_ANSWER_TIMEOUT_S = 300.0
MAX_POLL_GAPS = 50


class AccountError(ValueError):
    """An account cannot be used: which account, which field, and what is wrong; never the field's content."""

    def __init__(self, account: AccountSettings, field: str, problem: str) -> None:
        super().__init__(f"account {account.code}: {field} {problem}")
        self.account, self.field, self.problem = account.code, field, problem


def account_settings(account: Account | AccountContent) -> AccountSettings:
    """An account as its adapter reads it: the pace stands among the settings."""
    settings = dict(account.settings)
    if account.poll_gaps_s is not None:
        settings["poll_gaps_s"] = list(account.poll_gaps_s)
    if account.not_found_answers is not None:
        settings["not_found"] = {"answers": account.not_found_answers, "over_s": account.not_found_over_s}
    if account.answer_timeout_s is not None:
        settings["answer_timeout_s"] = account.answer_timeout_s
    return AccountSettings(account.code, account.provider, settings, account.secrets)


def setting(account: AccountSettings, name: str, default: str | None = None) -> str:
    """A text setting; without a default it must be there."""
    value = account.settings.get(name, default)
    if not isinstance(value, str) or not value.strip():
        raise AccountError(account, name, "is missing" if value is None else "must be text")
    return value.strip()


def base_url(account: AccountSettings, name: str = "base_url") -> str:
    """An http(s) address without its last slash."""
    value = setting(account, name)
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise AccountError(account, name, "must be an http(s) address without a query")
    return value.rstrip("/")


def secret(account: AccountSettings, name: str) -> str:
    """A secret by name."""
    value = account.secrets.get(name)
    if not value or not value.strip():
        raise AccountError(account, name, "is missing")
    return value


def private_key(account: AccountSettings, name: str) -> rsa.RSAPrivateKey:
    """A secret that is an RSA private key."""
    try:
        return load_private_key(secret(account, name))
    except SigningError as error:
        raise AccountError(account, name, f"is wrong: {error}") from None


def public_key(account: AccountSettings, name: str) -> rsa.RSAPublicKey:
    """A secret that is an RSA public key or a certificate."""
    try:
        return load_public_key(secret(account, name))
    except SigningError as error:
        raise AccountError(account, name, f"is wrong: {error}") from None


def certificate(account: AccountSettings, name: str) -> x509.Certificate:
    """A secret that is a certificate."""
    try:
        return load_certificate(secret(account, name))
    except SigningError as error:
        raise AccountError(account, name, f"is wrong: {error}") from None


def declared(account: AccountSettings, declaration: Declaration) -> Declaration:
    """The adapter's declaration with what the account's settings override.

    `poll_gaps_s` (a list of seconds), `not_found` (`{answers, over_s}`) and `answer_timeout_s`.
    """
    settings = account.settings
    changed = declaration
    if "poll_gaps_s" in settings:
        changed = replace(changed, poll_plan=PollPlan(_gaps(account, settings["poll_gaps_s"])))
    if "not_found" in settings:
        changed = replace(changed, not_found=_not_found(account, settings["not_found"]))
    if "answer_timeout_s" in settings:
        timeout_s = _seconds(account, "answer_timeout_s", settings["answer_timeout_s"], MAX_ANSWER_TIMEOUT_S)
        changed = replace(changed, answer_timeout_s=timeout_s)
    return changed


def _gaps(account: AccountSettings, value: object) -> tuple[float, ...]:
    if not isinstance(value, (list, tuple)) or not 1 <= len(value) <= MAX_POLL_GAPS:
        raise AccountError(account, "poll_gaps_s", f"must be a list of 1 to {MAX_POLL_GAPS} numbers of seconds")
    return tuple(_seconds(account, "poll_gaps_s", gap) for gap in value)


def _not_found(account: AccountSettings, value: object) -> NotFoundRule:
    if not isinstance(value, Mapping) or set(value) != {"answers", "over_s"}:
        raise AccountError(account, "not_found", "must have answers and over_s and nothing else")
    answers = value["answers"]
    if isinstance(answers, bool) or not isinstance(answers, int) or answers < 1:
        raise AccountError(account, "not_found.answers", "must be a whole number above zero")
    return NotFoundRule(answers, _seconds(account, "not_found.over_s", value["over_s"]))


def _seconds(account: AccountSettings, field: str, value: object, most: float = float("inf")) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= most:
        raise AccountError(account, field, "must be a number of seconds above zero")
    return float(value)
