"""Rows of the catalogue tables as values of the domain, and the encrypted parts of them."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from datetime import timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import RowMapping, Text, cast, column, func, select, true, update, values
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.blocks import BlockKind
from gateway.domain.catalogue import (
    SMS_PER_PHONE_AND_DAY,
    Account,
    ApiKey,
    AuthenticationMode,
    Catalogue,
    Channel,
    Endpoint,
    MaintenanceWindow,
    Merchant,
    RouteRule,
    RulesByPlace,
    SilentRefusal,
)
from gateway.domain.catalogue_content import WindowContent
from gateway.domain.payout_rules import PayoutRule
from gateway.domain.prices import amounts_from_json, fees_from_json, fees_to_json
from gateway.domain.scenes import Scene
from gateway.domain.terms import terms_from_json
from gateway.domain.transaction_rules import TransactionRule
from gateway.domain.watch_settings import watch_from_json
from gateway.domain.windows import Repeats
from gateway.storage.catalogue.endpoints import is_removed
from gateway.storage.catalogue.payout_rows import payout_rule_of
from gateway.storage.catalogue.transaction_rows import transaction_rule_of
from gateway.storage.keys import DecryptionError, KeyRing
from gateway.storage.keys.ring import version_of
from gateway.storage.tables import (
    accounts,
    api_keys,
    apps,
    blocks,
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
from router.fees import Fee, fee_to_json, parse_fee
from router.limits import ChannelLimits, RuleLimits


def account_context(merchant_code: str, account_code: str) -> bytes:
    """What an account's secrets are bound to: a blob that is copied to another row opens nowhere."""
    return f"account:{merchant_code}:{account_code}".encode()


def endpoint_context(merchant_code: str, endpoint_code: str) -> bytes:
    """What an endpoint's secrets are bound to."""
    return f"endpoint:{merchant_code}:{endpoint_code}".encode()


def seal(ring: KeyRing, value: object, context: bytes) -> bytes:
    """Encrypt a JSON value."""
    return ring.encrypt(orjson.dumps(value), context)


def unseal(ring: KeyRing, blob: bytes, context: bytes) -> Any:
    """Decrypt a JSON value. Raises DecryptionError, which names the row."""
    try:
        return orjson.loads(ring.decrypt(blob, context))
    except DecryptionError as error:
        raise DecryptionError(f"secrets of {context.decode()}: {error}") from None


def resealed(ring: KeyRing, value: object, context: bytes, existing: bytes | None) -> bytes:
    """The existing blob if it holds this value (a new one would look like a change), else a new one."""
    if existing is not None:
        try:
            if unseal(ring, existing, context) == value:
                return existing
        except DecryptionError:
            pass  # its key is gone, and here are the secrets anew
    return seal(ring, value, context)


async def reseal(connection: AsyncConnection, ring: KeyRing) -> int:
    """Encrypt with the primary what secrets are under another key; how many they were. Raises DecryptionError."""
    done = 0
    for table, context_of in ((accounts, account_context), (endpoints, endpoint_context)):
        found = select(table, merchants.c.code.label("merchant")).join_from(
            table, merchants, table.c.merchant_id == merchants.c.merchant_id
        )
        for row in (await connection.execute(found)).mappings().all():
            if version_of(row["secrets"]) == ring.primary:
                continue
            context = context_of(row["merchant"], row["code"])
            identity = [column == row[column.name] for column in table.primary_key.columns]
            blob = seal(ring, unseal(ring, row["secrets"], context), context)
            await connection.execute(update(table).where(*identity).values(secrets=blob))
            done += 1
    return done


def rule_row(rule: RouteRule) -> dict[str, Any]:
    """A rule as a row."""
    return {
        "merchant_id": rule.merchant_id,
        "channel": rule.channel,
        "scene": rule.scene.value,
        "bank": rule.bank,
        "enabled": rule.enabled,
        "fee": fee_to_json(rule.fee),
        "priority": rule.priority,
        "limits": rule.limits.to_json(),
        "daily_insufficient_by": None if rule.daily_insufficient_by == "user" else rule.daily_insufficient_by,
        "fees": fees_to_json(rule.fees) or None,
    }


async def current_version(connection: AsyncConnection) -> int:
    """The newest version, 0 when nothing was ever put in force."""
    return await connection.scalar(select(func.max(catalogue_versions.c.version))) or 0


RULES_FETCHED, RULES_AT_ONCE = 1_000, 100
"""Rules that come in one round trip, and those that are built before others have their turn: some milliseconds each."""
PARSED = 4_096
"""Fees and limits that are remembered by their text: most rules have those of many others."""


async def read_catalogue_rows(connection: AsyncConnection, ring: KeyRing, zone: ZoneInfo) -> Catalogue:
    """The whole catalogue. The transaction must be repeatable read, or its parts may not fit each other."""

    async def rows(statement: Any) -> list[RowMapping]:
        return list((await connection.execute(statement)).mappings())

    version = await current_version(connection)
    found = tuple(map(_merchant, await rows(select(merchants))))
    codes = {merchant.merchant_id: merchant.code for merchant in found}
    return Catalogue(
        version,
        found,
        tuple(map(_key, await rows(select(api_keys).where(api_keys.c.revoked_at.is_(None))))),
        tuple(_endpoint(row, codes, ring) for row in await rows(select(endpoints).order_by(endpoints.c.code))),
        tuple(_account(row, codes, ring) for row in await rows(select(accounts).order_by(accounts.c.code))),
        tuple(map(_channel, await rows(select(channels).order_by(channels.c.code)))),
        tuple(_window(row) for row in await rows(select(maintenance_windows).order_by("starts_at", "window_id"))),
        await _read_rules(connection),
        zone=zone,
        silent_refusals=[SilentRefusal(**row) for row in await rows(select(silent_refusals))],
        blocks=await _read_block_kinds(connection),
        return_hosts={
            (row["merchant_id"], row["code"]): frozenset(row["return_hosts"])
            for row in await rows(select(apps).where(apps.c.return_hosts.is_not(None)))
        },
        payout_rules=await _read_payout_rules(connection),
        transaction_rules=await _read_transaction_rules(connection),
    )


async def _read_block_kinds(connection: AsyncConnection) -> dict[UUID, set[BlockKind]]:
    """By merchant the kinds of entries of its block list: a probe of an index for each, however long the list is."""
    kinds = values(column("kind", Text), name="kinds").data([(kind.value,) for kind in BlockKind])
    of_kind = select(blocks).where(blocks.c.merchant_id == merchants.c.merchant_id, blocks.c.kind == kinds.c.kind)
    every = select(merchants.c.merchant_id, kinds.c.kind).join_from(merchants, kinds, true()).where(of_kind.exists())
    found: dict[UUID, set[BlockKind]] = defaultdict(set)
    for merchant_id, kind in await connection.execute(every):
        found[merchant_id].add(BlockKind(kind))
    return found


async def _read_rules(connection: AsyncConnection) -> RulesByPlace:
    r, found = route_rules.c, RulesByPlace()
    whole = (r.merchant_id, r.channel, r.scene, r.bank, r.enabled, r.priority, r.daily_insufficient_by, r.fees)
    every = select(*whole, cast(r.fee, Text), cast(r.limits, Text)).order_by(r.channel, r.scene, r.bank)
    async with connection.stream(every, execution_options={"yield_per": RULES_FETCHED}) as result:
        async for part in result.partitions(RULES_AT_ONCE):
            found.add(map(_rule, part))
            await asyncio.sleep(0)  # most parts are here already: nothing else lets others in
    return found


async def _read_payout_rules(connection: AsyncConnection) -> list[PayoutRule]:
    every = select(payout_rules).order_by("channel", "payee", "bank")
    found: list[PayoutRule] = []
    async with connection.stream(every, execution_options={"yield_per": RULES_FETCHED}) as result:
        async for part in result.mappings().partitions(RULES_AT_ONCE):
            found += [payout_rule_of(dict(row)) for row in part]
            await asyncio.sleep(0)
    return found


async def _read_transaction_rules(connection: AsyncConnection) -> dict[UUID, list[TransactionRule]]:
    found: dict[UUID, list[TransactionRule]] = defaultdict(list)
    for row in (await connection.execute(select(transaction_rules).order_by("code"))).mappings():
        found[row["merchant_id"]].append(transaction_rule_of(dict(row)))
    return found


def _merchant(row: RowMapping) -> Merchant:
    age_s, after_s = row["last_attempt_max_age_s"], row["unresolved_counts_after_s"]
    return Merchant(
        merchant_id=row["merchant_id"],
        code=row["code"],
        name=row["name"],
        last_attempt_max_age=None if age_s is None else timedelta(seconds=age_s),
        unresolved_counts_after=None if after_s is None else timedelta(seconds=after_s),
        authentication_spread=row["authentication_spread"],
        primary_signer=row["primary_signer"],
        primary_signers=row["primary_signers"] or {},
        sms_per_phone_and_day=row["sms_per_phone_and_day"] or SMS_PER_PHONE_AND_DAY,
        watch=watch_from_json(row["watch"] or {}),
    )


def _key(row: RowMapping) -> ApiKey:
    return ApiKey(row["merchant_id"], row["key_id"], row["app"], row["label"], bytes(row["key_hash"]))


def _endpoint(row: RowMapping, codes: Mapping[UUID, str], ring: KeyRing) -> Endpoint:
    context = endpoint_context(codes[row["merchant_id"]], row["code"])
    return Endpoint(
        merchant_id=row["merchant_id"],
        endpoint_id=row["endpoint_id"],
        app=row["app"],
        url=row["url"],
        event_types=None if row["event_types"] is None else frozenset(row["event_types"]),
        allow_private=row["allow_private"],
        stopped=row["stopped_at"] is not None,
        secrets=tuple(unseal(ring, row["secrets"], context)),
        code=row["code"],
        removed=is_removed(row),
        stopped_at=row["stopped_at"],
        stopped_because=row["stopped_because"],
    )


def _account(row: RowMapping, codes: Mapping[UUID, str], ring: KeyRing) -> Account:
    return Account(
        merchant_id=row["merchant_id"],
        code=row["code"],
        provider=row["provider"],
        settings=row["settings"],
        terms=terms_from_json(row["terms"]),
        secrets=unseal(ring, row["secrets"], account_context(codes[row["merchant_id"]], row["code"])),
        balance_alert_below=row["balance_alert_below"],
    )


def _channel(row: RowMapping) -> Channel:
    return Channel(
        merchant_id=row["merchant_id"],
        code=row["code"],
        account=row["account"],
        name=row["name"],
        on=row["is_on"],
        authentication={bank: AuthenticationMode(mode) for bank, mode in row["authentication"].items()},
        authentication_fee=row["authentication_fee"],
        limits=ChannelLimits.from_json(row["limits"]),
        psp_code=row["psp_code"],
        authentication_fees=amounts_from_json(row["authentication_fees"]),
    )


def _window(row: RowMapping) -> MaintenanceWindow:
    return MaintenanceWindow(row["merchant_id"], row["window_id"], *astuple(window_content(dict(row))))


def window_content(row: Mapping[str, Any]) -> WindowContent:
    """What a maintenance window's row says."""
    scenes, banks = row["scenes"], row["banks"]
    return WindowContent(
        channel=row["channel"],
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        note=row["note"],
        repeats=Repeats(row["repeats"]) if row["repeats"] else None,
        banks=None if banks is None else tuple(banks),
        scenes=None if scenes is None else tuple(map(Scene, scenes)),
    )


def window_row(window: MaintenanceWindow) -> dict[str, Any]:
    """A maintenance window as a row."""
    return {
        "merchant_id": window.merchant_id,
        "window_id": window.window_id,
        "channel": window.channel,
        "starts_at": window.starts_at,
        "ends_at": window.ends_at,
        "note": window.note,
        "repeats": window.repeats.value if window.repeats else None,
        "banks": None if window.banks is None else list(window.banks),
        "scenes": None if window.scenes is None else [scene.value for scene in window.scenes],
    }


def _rule(row: Sequence[Any]) -> RouteRule:
    merchant_id, channel, scene, bank, enabled, priority, by, fees, fee, limits = row
    return RouteRule(
        merchant_id=merchant_id,
        channel=channel,
        scene=Scene(scene),
        bank=bank,
        enabled=enabled,
        fee=_fee(fee),
        priority=priority,
        limits=_limits(limits),
        daily_insufficient_by=by or "user",
        fees=fees_from_json(fees),
    )


@lru_cache(PARSED)
def _fee(text: str) -> Fee:
    return parse_fee(orjson.loads(text))


@lru_cache(PARSED)
def _limits(text: str) -> RuleLimits:
    return RuleLimits.from_json(orjson.loads(text))
