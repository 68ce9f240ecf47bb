"""Writing a catalogue file of what is in force: `read_catalogue` reads it again as the very same content.

No secret is written: in its place stands `{ kept = true }`. An API key is its SHA-256, all that is known of it.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from gateway.catalogue_file.checks import ALL_BANKS
from gateway.catalogue_file.kept import KEPT
from gateway.domain.cards import bank_names
from gateway.domain.catalogue_content import (
    BlockContent,
    MerchantContent,
    PayoutRuleContent,
    RuleContent,
    WindowContent,
)
from gateway.domain.payout_rules import windows_to_json
from gateway.domain.prices import amounts_to_json, fees_to_json
from gateway.domain.scenes import Scene
from gateway.domain.terms import terms_to_json
from gateway.domain.transaction_rules import TransactionRule, filter_to_json
from gateway.domain.watch_settings import watch_to_json
from router.fees import fee_to_json

__all__ = ["written"]


def written(merchants: Iterable[MerchantContent], zone: ZoneInfo) -> str:
    """The text of a TOML file; times are those of `zone`."""
    return "\n".join(line for merchant in merchants for line in _merchant(merchant, zone)).lstrip("\n") + "\n"


def _merchant(merchant: MerchantContent, zone: ZoneInfo) -> Iterator[str]:
    yield from _table(
        "merchants",
        code=merchant.code,
        name=merchant.name,
        last_attempt_max_age_s=merchant.last_attempt_max_age_s,
        unresolved_counts_after_s=merchant.unresolved_counts_after_s,
        authentication_spread=merchant.authentication_spread,
        primary_signer=merchant.primary_signer,
        primary_signers=merchant.primary_signers or None,
        sms_per_phone_and_day=merchant.sms_per_phone_and_day,
        watch=None if merchant.watch is None else watch_to_json(merchant.watch) or None,
    )
    for app in merchant.apps:
        keys = [{"label": key.label, "sha256": key.key_hash.hex()} for key in app.keys]
        yield from _table(
            "merchants.apps", code=app.code, name=app.name, return_hosts=app.return_hosts or None, keys=keys or None
        )
    for endpoint in merchant.endpoints:
        yield from _table(
            "merchants.endpoints",
            code=endpoint.code,
            app=endpoint.app,
            url=endpoint.url,
            event_types=endpoint.event_types,
            allow_private=endpoint.allow_private,
            secrets=KEPT,
        )
    for account in merchant.accounts:
        yield from _table(
            "merchants.accounts",
            code=account.code,
            provider=account.provider,
            settings=dict(account.settings),
            secrets=dict.fromkeys(account.secrets, KEPT),
            terms=terms_to_json(account.terms) or None,
            balance_alert_below=account.balance_alert_below,
        )
    for channel in merchant.channels:
        yield from _table(
            "merchants.channels",
            code=channel.code,
            account=channel.account,
            name=channel.name,
            on=channel.on,
            authentication={bank: mode.value for bank, mode in channel.authentication.items()},
            authentication_fee=channel.authentication_fee,
            authentication_fees=amounts_to_json(channel.authentication_fees) or None,
            psp_code=channel.psp_code,
            **channel.limits.to_json(),
        )
        yield from _payouts(rule for rule in merchant.payout_rules if rule.channel == channel.code)
    for window in merchant.windows:
        yield from _window(window, zone)
    yield from _rules(merchant.rules)
    for transaction_rule in merchant.transaction_rules:
        yield from _transaction_rule(transaction_rule)
    for block in merchant.blocks:
        yield from _block(block, zone)


def _window(window: WindowContent, zone: ZoneInfo) -> Iterator[str]:
    return _table(
        "merchants.windows",
        channel=window.channel,
        starts_at=window.starts_at.astimezone(zone),
        ends_at=window.ends_at.astimezone(zone),
        repeats=window.repeats.value if window.repeats else None,
        banks=window.banks,
        scenes=None if window.scenes is None else [scene.value for scene in window.scenes],
        note=window.note,
    )


def _block(block: BlockContent, zone: ZoneInfo) -> Iterator[str]:
    """Its value is nowhere: the print stands for it, and a comment tells people which it is."""
    assert block.print is not None, "entries in force have one"
    yield ""
    yield f"# {block.masked}"
    yield from list(
        _table(
            "merchants.blocks",
            kind=block.kind.value,
            print=block.print.hex(),
            reason=block.reason,
            expires_at=block.expires_at and block.expires_at.astimezone(zone),
        )
    )[1:]


def _rules(rules: Iterable[RuleContent]) -> Iterator[str]:
    """Rows that differ only in scene and bank stand together, where they make a whole table of scenes and banks."""
    banks: dict[tuple[str, str], dict[Scene, list[str]]] = defaultdict(lambda: defaultdict(list))
    fields: dict[tuple[str, str], dict[str, Any]] = {}
    for rule in rules:
        said = {
            "enabled": rule.enabled,
            "fee": fee_to_json(rule.fee),
            "priority": rule.priority,
            **rule.limits.to_json(),
        }
        if rule.fees:
            said["fees"] = fees_to_json(rule.fees)
        if rule.daily_insufficient_by != "user":
            said["daily_insufficient_by"] = rule.daily_insufficient_by
        alike = (rule.channel, json.dumps(said, sort_keys=True))
        fields[alike] = said
        banks[alike][rule.scene].append(rule.bank)
    for alike, by_scene in banks.items():
        scenes: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for scene, names in by_scene.items():
            scenes[tuple(sorted(names))].append(scene.value)
        for names_, together in scenes.items():
            all_of_them = list(names_) == sorted(bank_names())
            yield from _table(
                "merchants.rules",
                channel=alike[0],
                scenes=sorted(together),
                banks=ALL_BANKS if all_of_them else list(names_),
                **fields[alike],
            )


def _payouts(rules: Iterable[PayoutRuleContent]) -> Iterator[str]:
    """Rows that differ only in payee and bank stand together, as those of rules do."""
    alike: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    fields: dict[str, dict[str, Any]] = {}
    for rule in rules:
        said = {
            "enabled": rule.enabled,
            "fee": fee_to_json(rule.fee),
            "single_limit": rule.single_limit,
            "daily_limit": rule.daily_limit,
            "windows": windows_to_json(rule.windows) or None,
            "fees": fees_to_json(rule.fees) or None,
        }
        key = json.dumps(said, sort_keys=True)
        fields[key] = said
        alike[key][rule.payee.value].append(rule.bank)
    for key, by_payee in alike.items():
        payees: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for payee, banks in by_payee.items():
            payees[tuple(sorted(banks))].append(payee)
        for banks_, together in payees.items():
            yield from _table("merchants.channels.payouts", payees=sorted(together), banks=list(banks_), **fields[key])


def _transaction_rule(rule: TransactionRule) -> Iterator[str]:
    return _table(
        "merchants.transaction_rules",
        code=rule.code,
        name=rule.name,
        enabled=rule.enabled,
        filter=filter_to_json(rule.filter),
        key=rule.key.value,
        distinct=rule.distinct and rule.distinct.value,
        window_s=rule.window_s,
        at_least=rule.at_least,
        sum_at_least=rule.sum_at_least,
        then=rule.then.value,
    )


def _table(name: str, /, **fields: Any) -> Iterator[str]:
    """An entry of a list of tables; what is None is absent."""
    yield ""
    yield f"[[{name}]]"
    for key, value in fields.items():
        if value is not None:
            yield f"{key} = {_toml(value)}"


def _toml(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return _text(value.replace("${", "$${"))
        case datetime():
            return value.isoformat()
        case Mapping():
            inner = ", ".join(f"{_text(key)} = {_toml(part)}" for key, part in value.items())
            return f"{{ {inner} }}" if inner else "{}"
        case _:
            return f"[{', '.join(map(_toml, value))}]"


def _text(text: str) -> str:
    # JSON's escapes are TOML's, too; but TOML wants one more.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
