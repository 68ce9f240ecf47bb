"""What is in force, as a catalogue file would say it: so that it can be written down, compared, and kept."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.domain.blocks import BlockKind
from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.catalogue_content import (
    AccountContent,
    AppContent,
    BlockContent,
    ChannelContent,
    EndpointContent,
    KeyContent,
    MerchantContent,
    RuleContent,
)
from gateway.domain.prices import amounts_from_json, fees_from_json
from gateway.domain.scenes import Scene
from gateway.domain.terms import terms_from_json
from gateway.domain.watch_settings import watch_from_json
from gateway.storage.catalogue.endpoints import is_removed
from gateway.storage.catalogue.payout_rows import payout_rule_content
from gateway.storage.catalogue.rows import account_context, endpoint_context, unseal, window_content
from gateway.storage.catalogue.transaction_rows import transaction_rule_of
from gateway.storage.keys import DecryptionError, KeyRing
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
from router.fees import parse_fee
from router.limits import ChannelLimits, RuleLimits

__all__ = ["read_content"]

Rows = Mapping[UUID, list[RowMapping]]


async def read_content(connection: AsyncConnection, ring: KeyRing, *, whole: bool = True) -> list[MerchantContent]:
    """Every merchant, by code. The transaction must be repeatable read, or the parts may not fit each other.

    Applied again it changes nothing: endpoints that had left the file are left out. Where the ring lacks a key it
    raises DecryptionError; with `whole` false such secrets are empty.
    """

    async def rows(statement: Any) -> Rows:
        by_merchant: dict[UUID, list[RowMapping]] = defaultdict(list)
        for row in (await connection.execute(statement)).mappings():
            by_merchant[row["merchant_id"]].append(row)
        return by_merchant

    def opened(row: RowMapping, context: bytes, otherwise: Any) -> Any:
        try:
            return unseal(ring, row["secrets"], context)
        except DecryptionError:
            if whole:
                raise
            return otherwise

    found = (await connection.execute(select(merchants).order_by(merchants.c.code))).mappings().all()
    of_app = await rows(select(apps).order_by(apps.c.code))
    of_key = await rows(select(api_keys).where(api_keys.c.revoked_at.is_(None)).order_by("created_at", "key_id"))
    of_endpoint = await rows(select(endpoints).order_by(endpoints.c.code))
    of_account = await rows(select(accounts).order_by(accounts.c.code))
    of_channel = await rows(select(channels).order_by(channels.c.code))
    of_window = await rows(select(maintenance_windows).order_by("starts_at", "window_id"))
    of_rule = await rows(select(route_rules).order_by("channel", "scene", "bank"))
    of_payout_rule = await rows(select(payout_rules).order_by("channel", "payee", "bank"))
    of_transaction_rule = await rows(select(transaction_rules).order_by("code"))
    of_block = await rows(select(blocks).where(blocks.c.by_file).order_by("block_id"))
    contents = []
    for merchant in found:
        mine, code = merchant["merchant_id"], merchant["code"]
        contents.append(
            MerchantContent(
                code=code,
                name=merchant["name"],
                last_attempt_max_age_s=merchant["last_attempt_max_age_s"],
                unresolved_counts_after_s=merchant["unresolved_counts_after_s"],
                authentication_spread=merchant["authentication_spread"],
                primary_signer=merchant["primary_signer"],
                primary_signers=merchant["primary_signers"] or {},
                sms_per_phone_and_day=merchant["sms_per_phone_and_day"],
                watch=watch_from_json(merchant["watch"]) if merchant["watch"] else None,
                apps=tuple(_app(app, of_key.get(mine, ())) for app in of_app.get(mine, ())),
                endpoints=tuple(
                    _endpoint(row, opened(row, endpoint_context(code, row["code"]), ()))
                    for row in of_endpoint.get(mine, ())
                    if not is_removed(row)
                ),
                accounts=tuple(
                    _account(row, opened(row, account_context(code, row["code"]), {}))
                    for row in of_account.get(mine, ())
                ),
                channels=tuple(map(_channel, of_channel.get(mine, ()))),
                windows=tuple(window_content(dict(row)) for row in of_window.get(mine, ())),
                rules=tuple(map(_rule, of_rule.get(mine, ()))),
                payout_rules=tuple(payout_rule_content(dict(row)) for row in of_payout_rule.get(mine, ())),
                transaction_rules=tuple(transaction_rule_of(dict(row)) for row in of_transaction_rule.get(mine, ())),
                blocks=tuple(map(_block, of_block.get(mine, ()))),
            )
        )
    return contents


def _app(row: RowMapping, keys: Iterable[RowMapping]) -> AppContent:
    of_it = [KeyContent(key["label"], bytes(key["key_hash"])) for key in keys if key["app"] == row["code"]]
    return AppContent(row["code"], row["name"], tuple(of_it), tuple(row["return_hosts"] or ()))


def _endpoint(row: RowMapping, secrets: Iterable[str]) -> EndpointContent:
    types = row["event_types"]
    return EndpointContent(
        code=row["code"],
        app=row["app"],
        url=row["url"],
        event_types=None if types is None else tuple(types),
        allow_private=row["allow_private"],
        secrets=tuple(secrets),
    )


def _account(row: RowMapping, secrets: Mapping[str, str]) -> AccountContent:
    return AccountContent(
        code=row["code"],
        provider=row["provider"],
        settings=row["settings"],
        secrets=secrets,
        terms=terms_from_json(row["terms"]),
        balance_alert_below=row["balance_alert_below"],
    )


def _channel(row: RowMapping) -> ChannelContent:
    return ChannelContent(
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


def _block(row: RowMapping) -> BlockContent:
    return BlockContent(
        kind=BlockKind(row["kind"]),
        value=None,
        reason=row["reason"],
        expires_at=row["expires_at"],
        print=bytes(row["print"]),
        masked=row["masked"],
    )


def _rule(row: RowMapping) -> RuleContent:
    return RuleContent(
        channel=row["channel"],
        scene=Scene(row["scene"]),
        bank=row["bank"],
        enabled=row["enabled"],
        fee=parse_fee(row["fee"]),
        priority=row["priority"],
        limits=RuleLimits.from_json(row["limits"]),
        daily_insufficient_by=row["daily_insufficient_by"] or "user",
        fees=fees_from_json(row["fees"]),
    )
