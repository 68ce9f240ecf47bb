"""The catalogue in force as text for a terminal of 80 columns: everything in it, and no secret."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from rich.cells import cell_len

from router.limits import ChannelLimits, RuleLimits

__all__ = ["COLUMNS", "catalogue_lines"]

COLUMNS: Final = 80
Shown = Mapping[str, Any]

_SETTINGS: Final = (
    "last_attempt_max_age_s",
    "unresolved_counts_after_s",
    "authentication_spread",
    "sms_per_phone_and_day",
    "primary_signer",
)


def catalogue_lines(catalogue: Shown) -> Iterator[str]:
    """The lines of a catalogue as the API shows it (`gateway.objects.catalogue`); none is wider than `COLUMNS`."""
    merchants = catalogue["merchants"]
    yield f"catalogue version {catalogue['version']}"
    for merchant in merchants:
        yield ""
        yield from _line(0, f"{merchant['code']}  {merchant['name']}")
        for name in _SETTINGS:
            if merchant[name] is not None:
                yield from _line(1, f"{name} {merchant[name]}")
        if merchant["primary_signers"]:
            yield from _line(1, f"primary_signers {_fields(merchant['primary_signers'])}")
        if merchant["watch"]:
            yield from _line(1, f"watch {_fields({k: v for k, v in merchant['watch'].items() if k != 'own'})}".rstrip())
            for own in merchant["watch"].get("own", ()):
                yield from _line(2, f"watch own {_fields(own)}")
        yield from _part("apps", merchant["apps"], _app)
        yield from _part("endpoints", merchant["endpoints"], _endpoint)
        yield from _part("accounts", merchant["accounts"], _account)
        yield from _part("channels", merchant["channels"], _channel)
        yield from _part("maintenance windows", merchant["maintenance_windows"], _window)
        yield from _part("banks that are not bound silently any more", merchant["silent_refusals"], _silent_refusal)
        yield from _part("rules (amounts in fen)", _together(merchant["rules"]), _rule)
        yield from _part("payout rules (amounts in fen)", _together(merchant["payout_rules"]), _payout_rule)
        yield from _part("transaction rules (amounts in fen)", merchant["transaction_rules"], _transaction_rule)


def _part(title: str, shown: Iterable[Shown], lines: Any) -> Iterator[str]:
    """A title and what stands below it; nothing where there is nothing."""
    for number, one in enumerate(shown):
        if number == 0:
            yield from _line(1, title)
        first, *more = lines(one)
        yield from _line(2, first)
        for line in more:
            yield from _line(3, line)


def _app(app: Shown) -> Iterator[str]:
    yield f"{app['code']}  {app['name']}"
    for key in app["keys"]:
        yield f"key {key['label']}  {key['id']}"


def _endpoint(endpoint: Shown) -> Iterator[str]:
    of = f"app {endpoint['app']}" if endpoint["app"] else "every app"
    yield f"{endpoint['id']}  {of}{'  STOPPED' if endpoint['stopped'] else ''}"
    yield endpoint["url"]
    types = endpoint["event_types"]
    yield f"events {'all' if types is None else ' '.join(types)}"
    private = ", private addresses allowed" if endpoint["allow_private"] else ""
    yield f"live secrets {endpoint['secrets']}{private}"


def _account(account: Shown) -> Iterator[str]:
    yield f"{account['code']}  provider {account['provider']}"
    for name, value in account["settings"].items():
        yield f"{name} {value if isinstance(value, str) else _json(value)}"
    if account["secrets"]:
        yield f"secrets {' '.join(account['secrets'])}"
    for product, terms in account["terms"].items():
        yield f"terms of {product}: {_fields(terms)}"
    if account["balance_alert_below"] is not None:
        yield f"balance_alert_below {account['balance_alert_below']}"
    for each in account["assumptions"]:
        by = " (as the first version did)" if each["by"] == "first_version" else ""
        yield f"assumes {each['name']}{by}: {each['meaning']}"
    if account["why_no_statements"] is not None:
        yield f"no statements: {account['why_no_statements']}"


def _channel(channel: Shown) -> Iterator[str]:
    resting = ", in maintenance now" if channel["in_maintenance"] else ""
    yield f"{channel['code']}  {channel['name']}  {'on' if channel['on'] else 'OFF'}{resting}"
    yield f"account {channel['account']} ({channel['provider']})"
    yield f"authentication {_fields(channel['authentication'])}; its fee {channel['authentication_fee']} fen"
    for price in channel["authentication_fees"]:
        yield f"from {price['effective_from']} its fee {price['fee']} fen"
    yield from _limits(channel, ChannelLimits)


def _window(window: Shown) -> Iterator[str]:
    again = f"  {window['repeats']}" if window["repeats"] else ""
    yield f"{window['channel']}{again}  {window['id']}"
    yield f"from {window['starts_at']} to {window['ends_at']}"
    for name in ("banks", "scenes"):
        if window[name] is not None:
            yield f"{name} {' '.join(window[name])}"
    if window["note"]:
        yield f"note {window['note']}"


def _silent_refusal(refusal: Shown) -> Iterator[str]:
    code = f"  code {refusal['channel_code']}" if refusal["channel_code"] else ""
    yield f"{refusal['bank']} at {refusal['account']} since {refusal['refused_at']}{code}"


def _rule(rule: Shown) -> Iterator[str]:
    off = "" if rule["enabled"] else "  OFF"
    yield f"{rule['channel']}  {rule['scene']}{off}  priority {rule['priority']}"
    yield from _fee(rule)
    yield from _limits(rule, RuleLimits)
    if rule["daily_insufficient_by"] != "user":
        yield f"daily_insufficient_by {rule['daily_insufficient_by']}"
    yield f"banks {' '.join(rule['banks'])}"


def _fee(rule: Shown) -> Iterator[str]:
    yield f"fee {_fields(rule['fee'])}"
    for price in rule["fees"]:
        yield f"from {price['effective_from']} fee {_fields(price['fee'])}"


def _payout_rule(rule: Shown) -> Iterator[str]:
    yield f"{rule['channel']}  to {rule['payee']} payees{'' if rule['enabled'] else '  OFF'}"
    yield from _fee(rule)
    told = [f"{name} {rule[name]}" for name in ("single_limit", "daily_limit") if rule[name] is not None]
    if told:
        yield ", ".join(told)
    for window in rule["windows"] or ():
        yield f"from {window['opens']} to {window['closes']} on {' '.join(window['days'])}"
    yield f"banks {' '.join(rule['banks'])}"


def _transaction_rule(rule: Shown) -> Iterator[str]:
    yield f"{rule['code']}  {rule['name']}{'' if rule['enabled'] else '  OFF'}  {rule['then']}"
    many = f"{rule['at_least']} {rule['distinct'] or 'rows'}" if rule["at_least"] else f"{rule['sum_at_least']} in all"
    yield f"at least {many} of one {rule['key']} within {rule['window_s']} s"
    yield f"of {_fields(rule['filter'])}"


def _together(rules: Iterable[Shown]) -> list[Shown]:
    """Rules that differ in the bank alone stand on one line."""
    alike: dict[str, list[Shown]] = defaultdict(list)
    for rule in rules:
        alike[_json({name: value for name, value in rule.items() if name != "bank"})].append(rule)
    return [{**same[0], "banks": sorted(rule["bank"] for rule in same)} for same in alike.values()]


def _limits(shown: Shown, kind: type[RuleLimits] | type[ChannelLimits]) -> Iterator[str]:
    told = [f"{about.name} {shown[about.name]}" for about in kind.each() if shown[about.name] is not None]
    if told:
        yield ", ".join(told)


def _fields(values: Shown) -> str:
    return ", ".join(f"{name} {value if isinstance(value, str) else _json(value)}" for name, value in values.items())


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _line(depth: int, text: str) -> Iterator[str]:
    """The text in as many lines as it needs; those after the first are indented more."""
    indent, line = "  " * depth, ""
    for word in text.split(" "):
        for part in _pieces(word, COLUMNS - 2 * depth - 4):
            longer = f"{line} {part}" if line else part
            if line and cell_len(indent + longer) > COLUMNS:
                yield indent + line
                indent, longer = "  " * depth + "    ", part
            line = longer
    yield indent + line


def _pieces(word: str, most: int) -> Iterator[str]:
    """A word in pieces of at most so many columns: an address may be longer than a line."""
    piece = ""
    for character in word:
        if cell_len(piece + character) > most:
            yield piece
            piece = ""
        piece += character
    yield piece
