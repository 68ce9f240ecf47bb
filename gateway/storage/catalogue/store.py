"""The catalogue in the database: read whole, changed in transactions that each make a new version.

Whoever changes it inserts the next version first. That row is the lock: a second one that started from the same version
waits, then meets the first one's row, and tries again from what is there now.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from typeid import TypeID

from gateway.domain.catalogue import BUSINESS_ZONE, ApiKey, AuthenticationMode, Catalogue, MaintenanceWindow, RouteRule
from gateway.domain.catalogue_content import (
    MAX_LIVE_SECRETS,
    ApplyReport,
    CatalogueBusyError,
    CatalogueChange,
    CatalogueFile,
    CatalogueRefusedError,
    MerchantContent,
)
from gateway.domain.payees import PayeeType
from gateway.domain.payout_rules import PayoutRule
from gateway.domain.prices import Price, amounts_to_json
from gateway.domain.scenes import Scene
from gateway.domain.transaction_rules import MAX_RULES, TransactionRule
from gateway.domain.windows import why_not
from gateway.logs import get
from gateway.storage.catalogue.apply import Applier
from gateway.storage.catalogue.changing import Work, deleting, require, require_channel, row_of, updating
from gateway.storage.catalogue.content import read_content
from gateway.storage.catalogue.endpoints import ANSWERED_410, started, stopped, stopped_as_gone
from gateway.storage.catalogue.payout_rows import payout_rule_columns, payout_rule_of, payout_rule_row
from gateway.storage.catalogue.rows import (
    current_version,
    endpoint_context,
    read_catalogue_rows,
    reseal,
    rule_row,
    seal,
    unseal,
    window_row,
)
from gateway.storage.catalogue.transaction_rows import transaction_rule_row
from gateway.storage.keys import KeyRing, OrderKey
from gateway.storage.tables import (
    accounts,
    api_keys,
    apps,
    catalogue_versions,
    channels,
    endpoints,
    maintenance_windows,
    merchants,
    payout_rules,
    route_rules,
    silent_refusals,
    transaction_rules,
)

__all__ = ["CatalogueStore", "new_id"]

MAX_TRIES = 10
"""Of one change, when others change the catalogue at the same moment."""
UNIQUE_VIOLATION, LOCK_NOT_AVAILABLE = "23505", "55P03"
VERSION_KEY, KEY_HASH_KEY = "catalogue_versions_pkey", "api_keys_hash_key"


log = get(__name__)

EndpointChange = Callable[[Mapping[str, Any]], dict[str, Any]]
"""An endpoint's row → what to change in it."""


def new_id() -> UUID:
    """A UUIDv7."""
    return UUID(bytes=TypeID().uuid_bytes)


class CatalogueStore:
    """Reads and changes the catalogue. Every change answers the version that is in force after it.

    A change raises NotInCatalogueError or CatalogueRefusedError when it cannot be, CatalogueBusyError when too many
    happen at once; nothing was changed then. One that changes nothing makes no version. `prints`: the key of the block
    list's prints, without which no file that has one can be applied.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        ring: KeyRing,
        new_id: Callable[[], UUID] = new_id,
        zone: ZoneInfo = BUSINESS_ZONE,
        prints: OrderKey | None = None,
    ) -> None:
        self._engine, self._ring, self._new_id, self._zone, self._prints = engine, ring, new_id, zone, prints

    # Reading

    async def version(self) -> int:
        """The newest version, 0 when the catalogue is empty."""
        async with self._engine.connect() as connection:
            return await current_version(connection)

    async def load(self) -> Catalogue:
        """The whole catalogue as of one moment. Raises DecryptionError when the key ring lacks a key."""
        async with self._engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            return await read_catalogue_rows(connection, self._ring, self._zone)

    async def content(self, *, whole: bool = True) -> list[MerchantContent]:
        """What is in force, as a catalogue file would say it. Raises DecryptionError unless `whole` is false."""
        async with self._engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            return await read_content(connection, self._ring, whole=whole)

    async def last_change_by(self, by: str) -> CatalogueChange | None:
        """The newest change that somebody made."""
        theirs = catalogue_versions.select().where(catalogue_versions.c.changed_by == by)
        newest = theirs.order_by(catalogue_versions.c.version.desc()).limit(1)
        async with self._engine.connect() as connection:
            row = (await connection.execute(newest)).mappings().first()
            return None if row is None else CatalogueChange(**row)

    async def history(self, limit: int) -> list[CatalogueChange]:
        """The newest changes, newest first."""
        newest = catalogue_versions.select().order_by(catalogue_versions.c.version.desc()).limit(limit)
        async with self._engine.connect() as connection:
            return [CatalogueChange(**row) for row in (await connection.execute(newest)).mappings()]

    async def app_names(self) -> dict[tuple[UUID, str], str]:
        """(merchant id, app code) → the app's name."""
        async with self._engine.connect() as connection:
            result = await connection.execute(select(apps).order_by(apps.c.code))
            return {(row["merchant_id"], row["code"]): row["name"] for row in result.mappings()}

    async def merchant_ids(self) -> dict[str, UUID]:
        """Merchants by code. Needs no key."""
        async with self._engine.connect() as connection:
            result = await connection.execute(select(merchants.c.code, merchants.c.merchant_id).order_by("code"))
            return {row.code: row.merchant_id for row in result}

    # A whole file

    async def apply(
        self,
        content: CatalogueFile,
        by: str,
        note: str,
        now: datetime,
        *,
        only_at: int | None = None,
        dry: bool = False,
    ) -> ApplyReport:
        """Put a file in force: what it names becomes what it says, all of it or nothing.

        `dry`: nothing, only the report of what it would do. `only_at`: the version that must be in force; raises
        CatalogueBusyError if it is another one.
        """
        appliers: list[Applier] = []

        async def work(connection: AsyncConnection) -> bool:
            if only_at is not None and await current_version(connection) != only_at + 1:
                raise CatalogueBusyError("others changed the catalogue meanwhile: apply the file again")
            applier = Applier(connection, self._ring, now, self._new_id, by, self._prints)
            appliers.append(applier)
            for merchant in content.merchants:
                await applier.apply(merchant)
            return bool(applier.counts)

        version, changed = await self._changed(by, note, now, work, dry=dry)
        done = appliers[-1]
        warnings = (*content.warnings, *done.warnings)
        return ApplyReport(version, changed, dict(done.counts), warnings, tuple(done.changes))

    # Small changes

    async def change(self, by: str, note: str, now: datetime, work: Work) -> int:
        """A change of what belongs to the catalogue and is kept by another store (`BlockStore`)."""
        return await self._small(by, note, now, work)

    async def set_merchant(self, merchant_id: UUID, values: Mapping[str, Any], *, by: str, now: datetime) -> int:
        """Change settings of a merchant, by the names of their columns; None takes one away."""
        row = {name: value or None for name, value in values.items()}
        work = updating(merchants, {"merchant_id": merchant_id}, row, "merchant")
        return await self._small(by, f"merchant changed: {', '.join(sorted(row))}", now, work)

    async def set_channel(
        self,
        merchant_id: UUID,
        code: str,
        *,
        by: str,
        now: datetime,
        on: bool | None = None,
        name: str | None = None,
        authentication: Mapping[str, AuthenticationMode] | None = None,
        authentication_fee: int | None = None,
        authentication_fees: Sequence[Price[int]] | None = None,
        limits: Mapping[str, int | None] | None = None,
    ) -> int:
        """Change what is given of a channel; of its limits those that are named, None removes one."""
        values: dict[str, Any] = {"is_on": on, "name": name, "authentication_fee": authentication_fee}
        if authentication is not None:
            values["authentication"] = {bank: mode.value for bank, mode in authentication.items()}
        values = {column: value for column, value in values.items() if value is not None}
        if authentication_fees is not None:
            values["authentication_fees"] = amounts_to_json(authentication_fees) or None
        identity = {"merchant_id": merchant_id, "code": code}

        async def work(connection: AsyncConnection) -> bool:
            if limits:
                row = await require(connection, channels, identity, "channel")
                values["limits"] = _changed_limits(row["limits"], limits)
            return await updating(channels, identity, values, "channel")(connection)

        switched = "" if on is None else " on" if on else " off"
        return await self._small(by, f"channel {code}{switched}", now, work)

    async def set_account(
        self, merchant_id: UUID, code: str, *, balance_alert_below: int | None, by: str, now: datetime
    ) -> int:
        """Change below how much of an account somebody is told; None: nobody is."""
        identity = {"merchant_id": merchant_id, "code": code}
        work = updating(accounts, identity, {"balance_alert_below": balance_alert_below}, "account")
        return await self._small(by, f"account {code}", now, work)

    async def add_window(self, window: MaintenanceWindow, *, by: str, now: datetime) -> int:
        """Add a maintenance window; its id is the caller's (`new_id`)."""
        if why := why_not(window.starts_at, window.ends_at, window.repeats):
            raise CatalogueRefusedError(f"the end of a maintenance window {why}")
        row = window_row(window)

        async def work(connection: AsyncConnection) -> bool:
            await require_channel(connection, window.merchant_id, window.channel)
            await connection.execute(insert(maintenance_windows), row)
            return True

        return await self._small(by, f"maintenance window of {window.channel} added", now, work)

    async def remove_window(self, merchant_id: UUID, window_id: UUID, *, by: str, now: datetime) -> int:
        """Remove a maintenance window."""
        identity = {"merchant_id": merchant_id, "window_id": window_id}
        work = deleting(maintenance_windows, identity, "maintenance window")
        return await self._small(by, "maintenance window removed", now, work)

    async def put_rule(self, rule: RouteRule, *, by: str, now: datetime) -> int:
        """Add the rule of (channel, scene, bank), or replace it whole."""
        row = rule_row(rule)
        identity = {name: row[name] for name in ("merchant_id", "channel", "scene", "bank")}

        async def work(connection: AsyncConnection) -> bool:
            await require_channel(connection, rule.merchant_id, rule.channel)
            if await row_of(connection, route_rules, identity) is None:
                await connection.execute(insert(route_rules), row)
                return True
            return await updating(route_rules, identity, row, "rule")(connection)

        return await self._small(by, f"rule {rule.channel} {rule.scene} {rule.bank}", now, work)

    async def delete_rule(
        self, merchant_id: UUID, channel: str, scene: Scene, bank: str, *, by: str, now: datetime
    ) -> int:
        """Remove a rule."""
        identity = {"merchant_id": merchant_id, "channel": channel, "scene": scene.value, "bank": bank}
        work = deleting(route_rules, identity, "rule")
        return await self._small(by, f"rule {channel} {scene} {bank} removed", now, work)

    async def put_payout_rule(self, rule: PayoutRule, *, by: str, now: datetime) -> int:
        """Add the payout rule of (channel, payee, bank), or replace it whole."""
        values = payout_rule_row(rule)
        identity, note = _payout_rule(rule.merchant_id, rule.channel, rule.payee, rule.bank)

        async def work(connection: AsyncConnection) -> bool:
            await require_channel(connection, rule.merchant_id, rule.channel)
            if await row_of(connection, payout_rules, identity) is None:
                await connection.execute(insert(payout_rules), values)
                return True
            return await updating(payout_rules, identity, values, "payout rule")(connection)

        return await self._small(by, note, now, work)

    async def change_payout_rule(
        self,
        merchant_id: UUID,
        channel: str,
        payee: PayeeType,
        bank: str,
        changes: Mapping[str, Any],
        *,
        by: str,
        now: datetime,
    ) -> PayoutRule:
        """Change what is given of a payout rule, by the names of its fields, and answer it as it is then."""
        values = payout_rule_columns(changes)
        identity, note = _payout_rule(merchant_id, channel, payee, bank)
        after: Mapping[str, Any] = {}

        async def work(connection: AsyncConnection) -> bool:
            nonlocal after
            after = {**await require(connection, payout_rules, identity, "payout rule"), **values}
            return await updating(payout_rules, identity, values, "payout rule")(connection)

        await self._small(by, f"{note} changed: {', '.join(sorted(values))}", now, work)
        return payout_rule_of(after)

    async def delete_payout_rule(
        self, merchant_id: UUID, channel: str, payee: PayeeType, bank: str, *, by: str, now: datetime
    ) -> int:
        """Remove a payout rule."""
        identity, note = _payout_rule(merchant_id, channel, payee, bank)
        return await self._small(by, f"{note} removed", now, deleting(payout_rules, identity, "payout rule"))

    async def put_transaction_rule(self, merchant_id: UUID, rule: TransactionRule, *, by: str, now: datetime) -> int:
        """Add the transaction rule of this code, or replace it whole."""
        values = transaction_rule_row(merchant_id, rule)
        identity = {"merchant_id": merchant_id, "code": rule.code}

        async def work(connection: AsyncConnection) -> bool:
            if await row_of(connection, transaction_rules, identity) is not None:
                return await updating(transaction_rules, identity, values, "transaction rule")(connection)
            mine = select(func.count()).where(transaction_rules.c.merchant_id == merchant_id)
            if (await connection.execute(mine)).scalar_one() >= MAX_RULES:
                raise CatalogueRefusedError(f"a merchant has at most {MAX_RULES} transaction rules: remove one")
            await connection.execute(insert(transaction_rules), values)
            return True

        return await self._small(by, f"transaction rule {rule.code}", now, work)

    async def switch_transaction_rule(
        self, merchant_id: UUID, code: str, *, enabled: bool, by: str, now: datetime
    ) -> int:
        """Switch a transaction rule on or off."""
        identity = {"merchant_id": merchant_id, "code": code}
        work = updating(transaction_rules, identity, {"enabled": enabled}, "transaction rule")
        return await self._small(by, f"transaction rule {code} {'on' if enabled else 'off'}", now, work)

    async def delete_transaction_rule(self, merchant_id: UUID, code: str, *, by: str, now: datetime) -> int:
        """Remove a transaction rule. What it raised is cleared at the next look."""
        work = deleting(transaction_rules, {"merchant_id": merchant_id, "code": code}, "transaction rule")
        return await self._small(by, f"transaction rule {code} removed", now, work)

    async def stop_endpoint(
        self, merchant_id: UUID, endpoint_id: UUID, because: str, now: datetime, by: str = "sluice"
    ) -> int:
        """Stop sending to an endpoint: its events are held. One that is stopped already keeps its reason."""
        about, work = f"endpoint stopped: {because}", partial(stopped, because=because, now=now)
        return (await self._endpoint(merchant_id, endpoint_id, by, about, now, work))[1]

    async def endpoint_gone(
        self, merchant_id: UUID, endpoint_id: UUID, *, url: str, sent_at: datetime, now: datetime
    ) -> bool:
        """Stop an endpoint that answered 410 to what was sent to this URL then; whether it is stopped now.

        One that has another URL by now, or was started since, is not.
        """
        about, work = f"endpoint stopped: {ANSWERED_410}", partial(stopped_as_gone, url=url, sent_at=sent_at, now=now)
        row, _ = await self._endpoint(merchant_id, endpoint_id, "sluice", about, now, work)
        return row["stopped_at"] is not None

    async def refuse_silent(
        self, merchant_id: UUID, account: str, bank: str, channel_code: str | None, *, now: datetime
    ) -> int:
        """Cards of this bank are bound silently at this account no more, until an operator clears it."""
        row = {"merchant_id": merchant_id, "account": account, "bank": bank}

        async def work(connection: AsyncConnection) -> bool:
            values = {**row, "channel_code": channel_code, "refused_at": now}
            statement = upsert(silent_refusals).values(values).on_conflict_do_nothing()
            return bool((await connection.execute(statement.returning(silent_refusals.c.bank))).all())

        return await self._small("sluice", f"{account} needs an SMS to bind cards of {bank}", now, work)

    async def clear_silent_refusal(
        self, merchant_id: UUID, account: str, bank: str, *, by: str, note: str, now: datetime
    ) -> int:
        """Cards of this bank are bound silently at this account again. Raises NotInCatalogueError."""
        identity = {"merchant_id": merchant_id, "account": account, "bank": bank}
        return await self._small(by, note, now, deleting(silent_refusals, identity, "refusal of silent binding"))

    async def start_endpoint(self, merchant_id: UUID, endpoint_id: UUID, *, by: str, note: str, now: datetime) -> int:
        """Send to an endpoint again: what is held for it becomes due. One that runs goes on."""
        about, work = f"endpoint started: {note}", partial(started, now=now)
        return (await self._endpoint(merchant_id, endpoint_id, by, about, now, work))[1]

    async def _endpoint(
        self, merchant_id: UUID, endpoint_id: UUID, by: str, about: str, now: datetime, change: EndpointChange
    ) -> tuple[Mapping[str, Any], int]:
        """Its row after a change, and the version. What was changed is logged, since a person must know."""
        identity = {"merchant_id": merchant_id, "endpoint_id": endpoint_id}
        after: Mapping[str, Any] = {}

        async def work(connection: AsyncConnection) -> bool:
            nonlocal after
            row = await require(connection, endpoints, identity, "endpoint")
            values = change(row)
            after = {**row, **values}
            return bool(values) and await updating(endpoints, identity, values, "endpoint")(connection)

        version, changed = await self._changed(by, about, now, work)
        if changed:
            log.warning(about, merchant_id=str(merchant_id), endpoint=after["code"], by=by, catalogue_version=version)
        return after, version

    async def rotate_endpoint_secret(
        self, merchant_id: UUID, endpoint_id: UUID, secret: str, *, by: str, now: datetime
    ) -> int:
        """Sign with a new secret; the one before it stays live beside it, older ones end."""
        identity = {"merchant_id": merchant_id, "endpoint_id": endpoint_id}

        async def work(connection: AsyncConnection) -> bool:
            row = await require(connection, endpoints, identity, "endpoint")
            merchant = await require(connection, merchants, {"merchant_id": merchant_id}, "merchant")
            context = endpoint_context(merchant["code"], row["code"])
            before: list[str] = unseal(self._ring, row["secrets"], context)
            if before[:1] == [secret]:
                return False
            after = [secret, *(old for old in before if old != secret)][:MAX_LIVE_SECRETS]
            sealed = {"secrets": seal(self._ring, after, context)}
            return await updating(endpoints, identity, sealed, "endpoint")(connection)

        return await self._small(by, "endpoint secret rotated", now, work)

    async def reseal(self, *, by: str, now: datetime) -> int:
        """Encrypt every account's and endpoint's secrets with the ring's primary; how many were under another key."""
        resealed = 0

        async def work(connection: AsyncConnection) -> bool:
            nonlocal resealed
            resealed = await reseal(connection, self._ring)
            return bool(resealed)

        await self._small(by, f"secrets encrypted with key {self._ring.primary}", now, work)
        return resealed

    async def add_key(self, key: ApiKey, *, by: str, now: datetime) -> int:
        """Add an API key to an app. Raises CatalogueRefusedError when the key is in use or was."""
        row = {"merchant_id": key.merchant_id, "key_id": key.key_id, "app": key.app, "label": key.label}
        row |= {"key_hash": key.key_hash, "created_at": now, "revoked_at": None}

        async def work(connection: AsyncConnection) -> bool:
            await require(connection, apps, {"merchant_id": key.merchant_id, "code": key.app}, "app")
            await connection.execute(insert(api_keys), row)
            return True

        try:
            return await self._small(by, f"key {key.label} of app {key.app} added", now, work)
        except IntegrityError as error:
            if _violated(error).startswith(KEY_HASH_KEY):
                raise CatalogueRefusedError("this key is or was in use; make a new one") from None
            raise

    async def revoke_key(self, merchant_id: UUID, key_id: UUID, *, by: str, now: datetime) -> int:
        """Revoke an API key for good (a catalogue file that still has it would make it live again)."""
        identity = {"merchant_id": merchant_id, "key_id": key_id}

        async def work(connection: AsyncConnection) -> bool:
            row = await require(connection, api_keys, identity, "key")
            if row["revoked_at"] is not None:
                return False
            return await updating(api_keys, identity, {"revoked_at": now}, "key")(connection)

        return await self._small(by, "key revoked", now, work)

    # Versions

    async def _small(self, by: str, note: str, now: datetime, work: Work) -> int:
        return (await self._changed(by, note, now, work))[0]

    async def _changed(self, by: str, note: str, now: datetime, work: Work, *, dry: bool = False) -> tuple[int, bool]:
        for _ in range(MAX_TRIES):
            try:
                async with self._engine.connect() as connection, connection.begin() as transaction:
                    before = await current_version(connection)
                    change = CatalogueChange(before + 1, now, by, note)
                    await connection.execute(insert(catalogue_versions), _version_row(change))
                    # Now nobody else changes the catalogue until this transaction ends.
                    changes = await work(connection)
                    if changes and not dry:
                        return change.version, True
                    await transaction.rollback()
                    return before, changes
            except DBAPIError as error:
                if not _met_another(error):
                    raise
        raise CatalogueBusyError(f"others changed the catalogue {MAX_TRIES} times meanwhile")


def _payout_rule(merchant_id: UUID, channel: str, payee: PayeeType, bank: str) -> tuple[dict[str, Any], str]:
    """What identifies a payout rule's row, and how the history names it."""
    identity = {"merchant_id": merchant_id, "channel": channel, "payee": payee.value, "bank": bank}
    return identity, f"payout rule {channel} {payee} {bank}"


def _version_row(change: CatalogueChange) -> dict[str, Any]:
    return {name: getattr(change, name) for name in ("version", "changed_at", "changed_by", "note")}


def _met_another(error: DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None)
    return state == LOCK_NOT_AVAILABLE or (state == UNIQUE_VIOLATION and _violated(error).startswith(VERSION_KEY))


def _violated(error: DBAPIError) -> str:
    """The constraint that an error is about."""
    return getattr(getattr(error.orig, "__cause__", None), "constraint_name", None) or ""


def _changed_limits(before: Mapping[str, int], changes: Mapping[str, int | None]) -> dict[str, int]:
    return {name: limit for name, limit in {**before, **changes}.items() if limit is not None}
