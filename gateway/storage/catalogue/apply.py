"""Making one merchant's rows what a catalogue file says, by the smallest change.

What payments may refer to is never deleted: merchants, apps, accounts, channels, keys, endpoints.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import astuple
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Table, and_, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.catalogue import MaintenanceWindow, RouteRule
from gateway.domain.catalogue_changes import RowChange
from gateway.domain.catalogue_content import (
    AccountContent,
    AppContent,
    BlockContent,
    CatalogueRefusedError,
    ChannelContent,
    EndpointContent,
    MerchantContent,
    PayoutRuleContent,
    RuleContent,
    WindowContent,
)
from gateway.domain.payout_rules import PayoutRule
from gateway.domain.prices import amounts_to_json
from gateway.domain.terms import terms_to_json
from gateway.domain.transaction_rules import TransactionRule
from gateway.domain.watch_settings import watch_to_json
from gateway.storage.catalogue.block_rows import print_of
from gateway.storage.catalogue.endpoints import left, listed
from gateway.storage.catalogue.payout_rows import PAYOUT_RULE_KEY, payout_rule_row
from gateway.storage.catalogue.rows import (
    account_context,
    endpoint_context,
    resealed,
    rule_row,
    window_content,
    window_row,
)
from gateway.storage.catalogue.transaction_rows import TRANSACTION_RULE_KEY, transaction_rule_row
from gateway.storage.keys import KeyRing, OrderKey
from gateway.storage.tables import (
    accounts,
    api_keys,
    apps,
    blocks,
    channels,
    endpoints,
    maintenance_windows,
    merchants,
    payout_rules,
    route_rules,
    transaction_rules,
)

Row = dict[str, Any]
Key = tuple[Any, ...]


_WHAT = {
    merchants: "merchant",
    apps: "app",
    api_keys: "key",
    endpoints: "endpoint",
    accounts: "account",
    channels: "channel",
    maintenance_windows: "window",
    blocks: "block",
    route_rules: "rule",
    payout_rules: "payout rule",
    transaction_rules: "transaction rule",
}


class Applier:
    """Applies merchants one after the other in one transaction, and counts what changed."""

    def __init__(
        self,
        connection: AsyncConnection,
        ring: KeyRing,
        now: datetime,
        new_id: Callable[[], UUID],
        by: str = "",
        prints: OrderKey | None = None,
    ) -> None:
        self._connection, self._ring, self._now, self._new_id = connection, ring, now, new_id
        self._by, self._prints = by, prints
        self._merchant_code = ""
        self.counts: Counter[str] = Counter()
        self.changes: list[RowChange] = []
        self.warnings: list[str] = []

    async def apply(self, content: MerchantContent) -> None:
        """Make everything of this merchant what the file says. Raises CatalogueRefusedError."""
        self._merchant_code = content.code
        merchant_id = await self._merchant(content)
        await self._apps(merchant_id, content.apps)
        await self._keys(merchant_id, content)
        await self._endpoints(merchant_id, content.code, content.endpoints)
        await self._accounts(merchant_id, content.code, content.accounts)
        await self._channels(merchant_id, content.channels)
        await self._windows(merchant_id, content.windows)
        await self._rules(merchant_id, content.rules)
        await self._payout_rules(merchant_id, content.payout_rules)
        await self._transaction_rules(merchant_id, content.transaction_rules)
        await self._blocks(merchant_id, content.code, content.blocks)

    async def _merchant(self, content: MerchantContent) -> UUID:
        found = await self._rows(merchants, ("code",), merchants.c.code == content.code)
        existing = found.get((content.code,))
        merchant_id: UUID = existing["merchant_id"] if existing else self._new_id()
        row = {
            "merchant_id": merchant_id,
            "code": content.code,
            "name": content.name,
            "last_attempt_max_age_s": content.last_attempt_max_age_s,
            "unresolved_counts_after_s": content.unresolved_counts_after_s,
            "authentication_spread": content.authentication_spread,
            "primary_signer": content.primary_signer,
            "primary_signers": dict(content.primary_signers) or None,
            "sms_per_phone_and_day": content.sms_per_phone_and_day,
            "watch": (watch_to_json(content.watch) or None) if content.watch else None,
        }
        await self._put("merchants", merchants, ("code",), found, [row])
        return merchant_id

    async def _apps(self, merchant_id: UUID, wanted: tuple[AppContent, ...]) -> None:
        found = await self._rows(apps, ("code",), apps.c.merchant_id == merchant_id)
        rows = [
            {
                "merchant_id": merchant_id,
                "code": app.code,
                "name": app.name,
                "return_hosts": list(app.return_hosts) or None,
            }
            for app in wanted
        ]
        await self._put("apps", apps, ("merchant_id", "code"), _keyed(found, merchant_id), rows)

    async def _keys(self, merchant_id: UUID, content: MerchantContent) -> None:
        wanted = {key.key_hash: (app.code, key.label) for app in content.apps for key in app.keys}
        await self._refuse_keys_of_others(merchant_id, content.code, wanted)
        found = await self._rows(api_keys, ("key_hash",), api_keys.c.merchant_id == merchant_id)
        rows = []
        for key_hash, (app, label) in wanted.items():
            existing = found.get((key_hash,), {})
            if existing.get("revoked_at") is not None:
                self.warnings.append(f"the key {label} of app {app} had been revoked and is live again")
            rows.append(
                {
                    "merchant_id": merchant_id,
                    "key_id": existing.get("key_id") or self._new_id(),
                    "app": app,
                    "label": label,
                    "key_hash": key_hash,
                    "created_at": existing.get("created_at") or self._now,
                    "revoked_at": None,
                }
            )
        for row in found.values():
            if row["revoked_at"] is None and row["key_hash"] not in wanted:
                await self._change(api_keys, row, revoked_at=self._now)
                self.counts["keys revoked"] += 1
        await self._put("keys", api_keys, ("key_hash",), found, rows)

    async def _refuse_keys_of_others(
        self, merchant_id: UUID, code: str, wanted: Mapping[bytes, tuple[str, str]]
    ) -> None:
        others = and_(api_keys.c.key_hash.in_(list(wanted)), api_keys.c.merchant_id != merchant_id)
        for row in (await self._rows(api_keys, ("key_hash",), others)).values():
            app, label = wanted[row["key_hash"]]
            raise CatalogueRefusedError(f"the key {label} of app {app} of {code} already belongs to another merchant")

    async def _endpoints(self, merchant_id: UUID, code: str, wanted: tuple[EndpointContent, ...]) -> None:
        found = await self._rows(endpoints, ("code",), endpoints.c.merchant_id == merchant_id)
        rows = [self._endpoint_row(merchant_id, code, content, found.get((content.code,))) for content in wanted]
        kept = {content.code for content in wanted}
        for row in found.values():
            if row["code"] not in kept and (change := left(row, self._now)):
                await self._change(endpoints, row, **change)
                self.counts["endpoints removed"] += 1
        await self._put("endpoints", endpoints, ("merchant_id", "code"), _keyed(found, merchant_id), rows)

    def _endpoint_row(self, merchant_id: UUID, code: str, content: EndpointContent, existing: Row | None) -> Row:
        context = endpoint_context(code, content.code)
        row = {
            "merchant_id": merchant_id,
            "endpoint_id": existing["endpoint_id"] if existing else self._new_id(),
            "code": content.code,
            "app": content.app,
            "url": content.url,
            "event_types": None if content.event_types is None else list(content.event_types),
            "allow_private": content.allow_private,
            "secrets": resealed(self._ring, list(content.secrets), context, existing["secrets"] if existing else None),
            **listed(existing, content.url, self._now),
        }
        if row["stopped_at"] is not None:
            self.warnings.append(f"the endpoint {content.code} of {code} stays stopped: {row['stopped_because']}")
        elif existing and existing["stopped_at"] is not None:
            self.counts["endpoints started again"] += 1
        return row

    async def _accounts(self, merchant_id: UUID, code: str, wanted: tuple[AccountContent, ...]) -> None:
        found = await self._rows(accounts, ("code",), accounts.c.merchant_id == merchant_id)
        rows = []
        for content in wanted:
            existing = found.get((content.code,))
            if existing:
                _refuse_another_contract(code, content, existing)
            context = account_context(code, content.code)
            blob = resealed(self._ring, dict(content.secrets), context, existing["secrets"] if existing else None)
            rows.append(
                {
                    "merchant_id": merchant_id,
                    "code": content.code,
                    "provider": content.provider,
                    "settings": dict(content.settings),
                    "secrets": blob,
                    "terms": terms_to_json(content.terms),
                    "balance_alert_below": content.balance_alert_below,
                }
            )
        await self._put("accounts", accounts, ("merchant_id", "code"), _keyed(found, merchant_id), rows)

    async def _channels(self, merchant_id: UUID, wanted: tuple[ChannelContent, ...]) -> None:
        found = await self._rows(channels, ("code",), channels.c.merchant_id == merchant_id)
        rows = [
            {
                "merchant_id": merchant_id,
                "code": content.code,
                "account": content.account,
                "name": content.name,
                "is_on": content.on,
                "authentication": {bank: mode.value for bank, mode in content.authentication.items()},
                "authentication_fee": content.authentication_fee,
                "limits": content.limits.to_json(),
                "psp_code": content.psp_code,
                "authentication_fees": amounts_to_json(content.authentication_fees) or None,
            }
            for content in wanted
        ]
        kept = {content.code for content in wanted}
        for row in found.values():
            if row["code"] not in kept and row["is_on"]:
                await self._change(channels, row, is_on=False)
                self.counts["channels switched off"] += 1
        await self._put("channels", channels, ("merchant_id", "code"), _keyed(found, merchant_id), rows)

    async def _windows(self, merchant_id: UUID, wanted: tuple[WindowContent, ...]) -> None:
        """Windows have no name in the file: one that is there already, with the same content, keeps its id."""
        found = await self._rows(maintenance_windows, ("window_id",), maintenance_windows.c.merchant_id == merchant_id)
        ids = {window_content(row): row["window_id"] for row in found.values()}
        kept: dict[UUID, Row] = {}
        for content in dict.fromkeys(wanted):
            window_id = ids.get(content) or self._new_id()
            kept[window_id] = window_row(MaintenanceWindow(merchant_id, window_id, *astuple(content)))
        await self._drop("windows", maintenance_windows, [row for key, row in found.items() if key[0] not in kept])
        await self._put("windows", maintenance_windows, ("window_id",), found, list(kept.values()))

    async def _rules(self, merchant_id: UUID, wanted: tuple[RuleContent, ...]) -> None:
        names = ("merchant_id", "channel", "scene", "bank")
        found = await self._rows(route_rules, names, route_rules.c.merchant_id == merchant_id)
        rows = [rule_row(_rule(merchant_id, content)) for content in wanted]
        kept = {tuple(row[name] for name in names) for row in rows}
        await self._drop("rules", route_rules, [row for key, row in found.items() if key not in kept])
        await self._put("rules", route_rules, names, found, rows)

    async def _payout_rules(self, merchant_id: UUID, wanted: tuple[PayoutRuleContent, ...]) -> None:
        found = await self._rows(payout_rules, PAYOUT_RULE_KEY, payout_rules.c.merchant_id == merchant_id)
        rows = [payout_rule_row(_payout_rule(merchant_id, content)) for content in wanted]
        kept = {tuple(row[name] for name in PAYOUT_RULE_KEY) for row in rows}
        await self._drop("payout rules", payout_rules, [row for key, row in found.items() if key not in kept])
        await self._put("payout rules", payout_rules, PAYOUT_RULE_KEY, found, rows)

    async def _transaction_rules(self, merchant_id: UUID, wanted: tuple[TransactionRule, ...]) -> None:
        mine = transaction_rules.c.merchant_id == merchant_id
        found = await self._rows(transaction_rules, TRANSACTION_RULE_KEY, mine)
        rows = [transaction_rule_row(merchant_id, rule) for rule in wanted]
        kept = {tuple(row[name] for name in TRANSACTION_RULE_KEY) for row in rows}
        gone = [row for key, row in found.items() if key not in kept]
        await self._drop("transaction rules", transaction_rules, gone)
        await self._put("transaction rules", transaction_rules, TRANSACTION_RULE_KEY, found, rows)

    async def _blocks(self, merchant_id: UUID, code: str, wanted: tuple[BlockContent, ...]) -> None:
        """Entries of the file alone: what people added beside it stays. One that stands in both is the file's."""
        prints = [(content, self._print(merchant_id, content)) for content in wanted]
        b = blocks.c
        theirs = or_(b.by_file, b.print.in_([printed for _, printed in prints]))
        found = await self._rows(blocks, ("kind", "print"), and_(b.merchant_id == merchant_id, theirs))
        rows: dict[Key, Row] = {}
        for content, printed in prints:
            key = (content.kind.value, printed)
            existing = found.get(key)
            if content.value is None and existing is None:
                raise CatalogueRefusedError(f"a print of a {content.kind} in blocks of {code} is of nothing in force")
            rows[key] = {
                "merchant_id": merchant_id,
                "block_id": existing["block_id"] if existing else self._new_id(),
                "kind": content.kind.value,
                "print": printed,
                "masked": content.value.masked if content.value else existing and existing["masked"],
                "reason": content.reason,
                "by_file": True,
                "added_by": existing["added_by"] if existing else self._by,
                "added_at": existing["added_at"] if existing else self._now,
                "expires_at": content.expires_at,
            }
        await self._drop("blocks", blocks, [row for key, row in found.items() if row["by_file"] and key not in rows])
        await self._put("blocks", blocks, ("kind", "print"), found, list(rows.values()))

    def _print(self, merchant_id: UUID, content: BlockContent) -> bytes:
        if content.print is not None:
            return content.print
        assert content.value is not None
        if self._prints is None:
            raise CatalogueRefusedError("the file has blocks, whose prints are made with SLUICE_ORDER_KEY: set it")
        return print_of(self._prints, merchant_id, content.value)

    # Rows

    async def _rows(self, table: Table, key: tuple[str, ...], condition: Any) -> dict[Key, Row]:
        result = await self._connection.execute(select(table).where(condition))
        return {tuple(row[name] for name in key): dict(row) for row in result.mappings()}

    async def _put(
        self, what: str, table: Table, key: tuple[str, ...], found: Mapping[Key, Row], rows: list[Row]
    ) -> None:
        """Insert what is new and update what differs."""
        added = [row for row in rows if tuple(row[name] for name in key) not in found]
        if added:
            await self._connection.execute(insert(table), added)
            self.counts[f"{what} added"] += len(added)
            self.changes += [RowChange(_WHAT[table], self._merchant_code, None, row) for row in added]
        for row in rows:
            existing = found.get(tuple(row[name] for name in key))
            if existing is not None and any(existing[name] != value for name, value in row.items()):
                await self._change(table, existing, **row)
                self.counts[f"{what} changed"] += 1

    async def _change(self, table: Table, existing: Row, **values: Any) -> None:
        identity = {column.name: existing[column.name] for column in table.primary_key.columns}
        changed = {name: value for name, value in values.items() if name not in identity}
        await self._connection.execute(update(table).where(*_is(table, identity)).values(**changed))
        self.changes.append(RowChange(_WHAT[table], self._merchant_code, existing, existing | changed))

    async def _drop(self, what: str, table: Table, rows: list[Row]) -> None:
        for row in rows:
            identity = {column.name: row[column.name] for column in table.primary_key.columns}
            await self._connection.execute(delete(table).where(*_is(table, identity)))
            self.changes.append(RowChange(_WHAT[table], self._merchant_code, row, None))
        if rows:
            self.counts[f"{what} removed"] += len(rows)


def _is(table: Table, identity: Row) -> list[Any]:
    return [table.c[name] == value for name, value in identity.items()]


def _keyed(found: Mapping[Key, Row], merchant_id: UUID) -> dict[Key, Row]:
    return {(merchant_id, *key): row for key, row in found.items()}


def _refuse_another_contract(merchant: str, content: AccountContent, existing: Row) -> None:
    """Open payments would be asked for where nobody ever heard of them, and "not found" would call paid ones failed."""
    if existing["provider"] != content.provider:
        raise CatalogueRefusedError(
            f"the account {content.code} of {merchant} is of provider {existing['provider']} for ever; "
            f"give the one of {content.provider} another code"
        )
    for name in sorted(content.identity):
        if existing["settings"].get(name) != content.settings.get(name):
            raise CatalogueRefusedError(
                f"account {content.code} of {merchant}: {name} cannot change, since open payments would be asked for "
                "at a merchant number that never had them: give the new contract a code of its own"
            )


def _rule(merchant_id: UUID, content: RuleContent) -> RouteRule:
    return RouteRule(
        merchant_id=merchant_id,
        channel=content.channel,
        scene=content.scene,
        bank=content.bank,
        enabled=content.enabled,
        fee=content.fee,
        priority=content.priority,
        limits=content.limits,
        daily_insufficient_by=content.daily_insufficient_by,
        fees=content.fees,
    )


def _payout_rule(merchant_id: UUID, content: PayoutRuleContent) -> PayoutRule:
    return PayoutRule(
        merchant_id=merchant_id,
        channel=content.channel,
        payee=content.payee,
        bank=content.bank,
        enabled=content.enabled,
        fee=content.fee,
        single_limit=content.single_limit,
        daily_limit=content.daily_limit,
        windows=content.windows,
        fees=content.fees,
    )
