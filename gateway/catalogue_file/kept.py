"""`{ kept = true }` in the place of a secret: the one that is in force stays. An exported file has no others."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from gateway.domain.catalogue_content import MerchantContent

__all__ = ["KEPT", "Keeper"]

KEPT: Final[Mapping[str, bool]] = {"kept": True}
NOTHING = "nothing is in force that could be kept"


class Keeper:
    """Puts secrets that are in force where a file says so. Problems are collected; `keeps` tells whether it did."""

    def __init__(self, in_force: Iterable[MerchantContent]) -> None:
        self._in_force = {merchant.code: merchant for merchant in in_force}
        self.keeps = False
        self.problems: dict[str, str] = {}
        """Path in the file → what is wrong there."""

    def fill(self, file: object) -> None:
        """Change a file, whose references are resolved, in place. What has not its shape is left for others to tell."""
        for number, merchant in enumerate(_listed(file, "merchants")):
            in_force = self._in_force.get(str(merchant.get("code")))
            for position, account in enumerate(_listed(merchant, "accounts")):
                found: dict[str, Mapping[str, str]] = {a.code: a.secrets for a in in_force.accounts} if in_force else {}
                path = f"merchants[{number}].accounts[{position}].secrets"
                self._account(path, account, found.get(str(account.get("code")), {}))
            for position, endpoint in enumerate(_listed(merchant, "endpoints")):
                if endpoint.get("secrets") == KEPT:
                    live = {e.code: list(e.secrets) for e in in_force.endpoints} if in_force else {}
                    path = f"merchants[{number}].endpoints[{position}].secrets"
                    endpoint["secrets"] = self._kept(path, live.get(str(endpoint.get("code"))), [])

    def _account(self, path: str, account: dict[str, Any], in_force: Mapping[str, str]) -> None:
        secrets = account.get("secrets")
        if isinstance(secrets, dict):
            for name, secret in secrets.items():
                if secret == KEPT:
                    secrets[name] = self._kept(f"{path}.{name}", in_force.get(name), "")

    def _kept(self, path: str, secret: Any, otherwise: Any) -> Any:
        self.keeps = True
        if not secret:
            self.problems[path] = NOTHING
        return secret or otherwise


def _listed(table: object, name: str) -> list[dict[str, Any]]:
    parts = table.get(name) if isinstance(table, dict) else None
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
