"""Rows of the catalogue tables as values of the domain, and the encrypted parts of them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import RowMapping, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.catalogue import (
    Account,
    ApiKey,
    AuthenticationMode,
    Catalogue,
    Channel,
    Endpoint,
    MaintenanceWindow,
    Merchant,
    RouteRule,
)
from gateway.domain.scenes import Scene
from gateway.domain.terms import terms_from_json
from gateway.storage.keys import DecryptionError, KeyRing
from gateway.storage.keys.ring import version_of
from gateway.storage.tables import (
    accounts,
    api_keys,
    catalogue_versions,
    channels,
    endpoints,
    maintenance_windows,
    merchants,
    route_rules,
)
from router.fees import fee_to_json, parse_fee
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
    }


async def current_version(connection: AsyncConnection) -> int:
    """The newest version, 0 when nothing was ever put in force."""
    return await connection.scalar(select(func.max(catalogue_versions.c.version))) or 0


async def read_catalogue_rows(connection: AsyncConnection, ring: KeyRing) -> Catalogue:
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
        tuple(map(_rule, await rows(select(route_rules).order_by("channel", "scene", "bank")))),
    )


def _merchant(row: RowMapping) -> Merchant:
    age_s = row["last_attempt_max_age_s"]
    age = None if age_s is None else timedelta(seconds=age_s)
    return Merchant(row["merchant_id"], row["code"], row["name"], age, row["authentication_spread"])


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
    )


def _account(row: RowMapping, codes: Mapping[UUID, str], ring: KeyRing) -> Account:
    return Account(
        merchant_id=row["merchant_id"],
        code=row["code"],
        provider=row["provider"],
        settings=row["settings"],
        terms=terms_from_json(row["terms"]),
        secrets=unseal(ring, row["secrets"], account_context(codes[row["merchant_id"]], row["code"])),
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
    )


def _window(row: RowMapping) -> MaintenanceWindow:
    return MaintenanceWindow(
        row["merchant_id"], row["window_id"], row["channel"], row["starts_at"], row["ends_at"], row["note"]
    )


def _rule(row: RowMapping) -> RouteRule:
    return RouteRule(
        merchant_id=row["merchant_id"],
        channel=row["channel"],
        scene=Scene(row["scene"]),
        bank=row["bank"],
        enabled=row["enabled"],
        fee=parse_fee(row["fee"]),
        priority=row["priority"],
        limits=RuleLimits.from_json(row["limits"]),
    )
