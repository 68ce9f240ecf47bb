"""What a catalogue file means: whether its parts fit each other, the providers and the banks."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Protocol

import httpx

from adapters.account import account_settings
from adapters.registry import PROVIDERS, AccountError, build, offer_for, offer_of
from gateway.catalogue_file.shape import (
    AccountShape,
    ChannelShape,
    KeyShape,
    MerchantShape,
    RuleShape,
    TransactionFilterShape,
)
from gateway.domain.callback_names import short_name
from gateway.domain.cards import bank_names
from gateway.domain.catalogue import ANY_BANK, mode_of
from gateway.domain.catalogue_content import AccountContent, key_hash_of
from gateway.domain.scenes import CARD_SCENES, CUSTODY_SCENES, NAME_PSP, NO_BANK, Scene, why_not_by_card
from gateway.domain.terms import OwnTerms, Product
from gateway.domain.windows import why_not
from gateway.ports import Declaration, NotSentError
from gateway.settings import SAMPLE_KEYS

ALL_BANKS = "all"
TERMS = ("poll_gaps_s", "not_found", "answer_timeout_s")

Problems = Iterator[str]


def is_sample_key(key_hash: bytes) -> bool:
    """Whether this is the hash of a key that everybody knows."""
    return key_hash in {key_hash_of(key) for key in SAMPLE_KEYS}


def account_content(shape: AccountShape) -> AccountContent:
    """An account without its shape. Its provider must be known."""
    declaration = offer_of(shape.provider).declaration
    return AccountContent(
        code=shape.code,
        provider=shape.provider,
        settings=shape.settings,
        secrets=shape.secrets,
        terms=_own_terms(shape, declaration),
        identity=declaration.identity,
        balance_alert_below=shape.balance_alert_below,
    )


def _own_terms(shape: AccountShape, declaration: Declaration) -> dict[Product, OwnTerms]:
    """What stands beside settings is said of payments, and the answer's time of every product of the provider."""
    said = {product: terms.said() for product, terms in shape.terms.items()}
    for product in declaration.terms:
        flat = {name: value for name, value in shape.said().items() if product in _speaks_of(name)}
        said[product] = flat | said.get(product, {})
    return {product: OwnTerms(**told) for product, told in said.items() if told}


def _speaks_of(name: str) -> tuple[Product, ...]:
    """The products that a term is said of where it stands beside settings."""
    return tuple(Product) if name == "answer_timeout_s" else (Product.PAYMENT,)


def hash_of(key: KeyShape) -> bytes:
    """The hash of a key in either of its forms."""
    return key_hash_of(key.key) if key.key is not None else bytes.fromhex(key.sha256 or "")


def banks_of(rule: RuleShape) -> list[str]:
    """The banks that a rule stands for."""
    return sorted(bank_names()) if rule.banks == [ALL_BANKS] else rule.banks


def problems_of(merchants: list[MerchantShape], *, production: bool) -> Problems:
    """Everything that is wrong between the parts."""
    yield from _repeated("merchants", merchants)
    yield from _key_problems(merchants, production=production)
    for number, merchant in enumerate(merchants):
        path = f"merchants[{number}]"
        for part in ("apps", "endpoints", "accounts", "channels", "transaction_rules"):
            yield from _repeated(f"{path}.{part}", getattr(merchant, part))
        yield from _endpoint_problems(path, merchant)
        for position, account in enumerate(merchant.accounts):
            yield from _account_problems(f"{path}.accounts[{position}]", account)
        yield from _channel_problems(path, merchant)
        yield from _window_problems(path, merchant)
        yield from _rule_problems(path, merchant)
        yield from _block_problems(path, merchant)
        yield from _transaction_rule_problems(path, merchant)


def warnings_of(merchants: list[MerchantShape]) -> Problems:
    """What is allowed and probably a mistake."""
    for number, merchant in enumerate(merchants):
        channels = {channel.code: channel for channel in merchant.channels}
        for position, rule in enumerate(merchant.rules):
            path = f"merchants[{number}].rules[{position}]"
            single, daily = rule.limits.single_limit, rule.limits.daily_limit
            if single and daily and single > daily:
                yield f"{path}.single_limit: is above daily_limit, which stops such payments anyway"
            yield from _never_paid(path, rule, merchant)
            modes = channels[rule.channel].authentication
            if ANY_BANK not in modes and CARD_SCENES.intersection(rule.scenes):
                closed = [bank for bank in banks_of(rule) if bank not in modes]
                if closed:
                    yield f"{path}.banks: {rule.channel} has no authentication for {shortened(closed)}: never chosen"


def _never_paid(path: str, rule: RuleShape, merchant: MerchantShape) -> Problems:
    """Rows of banks that the provider does not know."""
    account = next(c.account for c in merchant.channels if c.code == rule.channel)
    provider = next(a.provider for a in merchant.accounts if a.code == account)
    carries = offer_of(provider).declaration.carries
    strange = [
        bank
        for scene in rule.scenes
        for bank in banks_of(rule)
        if not carries.knows(bank, by_card=scene in CARD_SCENES)
    ]
    if strange:
        named = shortened(list(dict.fromkeys(strange)))
        yield f"{path}.banks: {provider} does not know {named}: {len(strange)} rows can never pay"


class _Coded(Protocol):
    @property
    def code(self) -> str: ...


def _repeated(path: str, parts: Iterable[_Coded]) -> Problems:
    first: dict[str, int] = {}
    for number, part in enumerate(parts):
        if first.setdefault(part.code, number) != number:
            yield f"{path}[{number}].code: {part.code} is already {path}[{first[part.code]}]"


def _key_problems(merchants: list[MerchantShape], *, production: bool) -> Problems:
    first: dict[bytes, str] = {}
    for number, merchant in enumerate(merchants):
        for position, app in enumerate(merchant.apps):
            for place, key in enumerate(app.keys):
                path = f"merchants[{number}].apps[{position}].keys[{place}]"
                if first.setdefault(hash_of(key), path) != path:
                    yield f"{path}: is the same key as {first[hash_of(key)]}"
                if production and is_sample_key(hash_of(key)):
                    yield f"{path}: is a sample key, which everybody knows; production refuses it"


def _endpoint_problems(path: str, merchant: MerchantShape) -> Problems:
    apps = {app.code for app in merchant.apps}
    for number, endpoint in enumerate(merchant.endpoints):
        if endpoint.app is not None and endpoint.app not in apps:
            yield f"{path}.endpoints[{number}].app: {unknown(endpoint.app, 'app', apps)}"


def _account_problems(path: str, account: AccountShape) -> Problems:
    if account.provider not in PROVIDERS:
        yield f"{path}.provider: {unknown(account.provider, 'provider', PROVIDERS)}"
        return
    for product, terms in account.terms.items():
        for name in terms.said():
            if name in account.said() and product in _speaks_of(name):
                yield f"{path}.{name}: is said by terms.{product}.{name} too: say it once"
    misplaced = [name for name in (*TERMS, "terms") if name in account.settings]
    for name in misplaced:
        yield f"{path}.settings.{name}: belongs beside settings, not in it"
    if misplaced:
        return
    if account.balance_alert_below is not None and (why := offer_for(account_content(account)).why_no_balance()):
        yield f"{path}.balance_alert_below: {why}"
    try:
        build(account_settings(account_content(account)), _nowhere)
    except AccountError as error:
        yield f"{path}.{_field_path(account, error.field)}: {error.problem}"


def address_problems(merchants: list[MerchantShape], callback_base: str) -> Problems:
    """Accounts whose PSP cannot be told where to call, not by the short form either."""
    for number, merchant in enumerate(merchants):
        for place, account in enumerate(merchant.accounts):
            if account.provider not in PROVIDERS:
                continue
            most = offer_of(account.provider).declaration.callback_url_chars
            has = len(f"{callback_base}/c/{short_name(merchant.code, account.code)}")
            if most is not None and has > most:
                yield (
                    f"merchants[{number}].accounts[{place}]: its address of callbacks has {has} characters and "
                    f"{account.provider} takes {most}: shorten SLUICE_PUBLIC_URL"
                )


async def _nowhere(request: httpx.Request) -> httpx.Response:
    raise NotSentError(f"{request.method}: this account is only being checked")


def _field_path(account: AccountShape, field: str) -> str:
    """Where the field that an adapter complains of stands; adapters name missing ones without saying where."""
    if field in account.secrets:
        return f"secrets.{field}"
    return f"settings.{field}" if field in account.settings else field


def _channel_problems(path: str, merchant: MerchantShape) -> Problems:
    accounts = {account.code: account for account in merchant.accounts}
    for number, channel in enumerate(merchant.channels):
        here = f"{path}.channels[{number}]"
        account = accounts.get(channel.account)
        if account is None:
            yield f"{here}.account: {unknown(channel.account, 'account', accounts)}"
        known = account if account and account.provider in PROVIDERS else None
        offer = offer_for(account_content(known)) if known else None
        for bank, mode in channel.authentication.items():
            if bank != ANY_BANK and bank not in bank_names():
                yield f"{here}.authentication.{bank}: {bank} is not a bank code"
            if offer and (why := offer.why_not_authenticate(mode)):
                yield f"{here}.authentication.{bank}: {why}"


def _window_problems(path: str, merchant: MerchantShape) -> Problems:
    channels = {channel.code for channel in merchant.channels}
    for number, window in enumerate(merchant.windows):
        here = f"{path}.windows[{number}]"
        if window.channel not in channels:
            yield f"{here}.channel: {unknown(window.channel, 'channel', channels)}"
        if why := why_not(window.starts_at, window.ends_at, window.repeats):
            yield f"{here}.ends_at: {why}"
        yield from _bank_problems(f"{here}.banks", window.banks or [])
        yield from repeated(f"{here}.scenes", window.scenes or [])


def _rule_problems(path: str, merchant: MerchantShape) -> Problems:
    channels = {channel.code: channel for channel in merchant.channels}
    accounts = {account.code: account for account in merchant.accounts}
    first: dict[tuple[str, str, str], str] = {}
    for number, rule in enumerate(merchant.rules):
        here = f"{path}.rules[{number}]"
        channel = channels.get(rule.channel)
        if channel is None:
            yield f"{here}.channel: {unknown(rule.channel, 'channel', channels)}"
        else:
            yield from _scene_problems(here, rule, channel, accounts)
        chosen_there = set(rule.scenes) == {Scene.CUSTODY_NETBANK_CHARGE}
        banks = [bank for bank in rule.banks if not (chosen_there and bank == NO_BANK)]
        yield from _bank_problems(f"{here}.banks", banks)
        if rule.daily_insufficient_by == "card" and (why := why_not_by_card(*rule.scenes)):
            yield f"{here}.daily_insufficient_by: {why}"
        for scene in rule.scenes:
            for bank in banks_of(rule):
                other = first.setdefault((rule.channel, scene, bank), here)
                if other != here:
                    yield f"{here}: {scene} of {bank} on {rule.channel} is already in {other}"
        yield from repeated(f"{here}.scenes", rule.scenes)


def _block_problems(path: str, merchant: MerchantShape) -> Problems:
    first: dict[object, int] = {}
    for number, block in enumerate(merchant.blocks):
        before = first.setdefault(block.blocked or (block.kind, block.print), number)
        if before != number:
            yield f"{path}.blocks[{number}]: is already {path}.blocks[{before}]"


def _transaction_rule_problems(path: str, merchant: MerchantShape) -> Problems:
    channels, apps = ({each.code for each in part} for part in (merchant.channels, merchant.apps))
    for number, rule in enumerate(merchant.transaction_rules):
        yield from filter_problems(f"{path}.transaction_rules[{number}].filter", rule.filter, channels, apps)


def filter_problems(
    path: str, wanted: TransactionFilterShape, channels: Collection[str], apps: Collection[str]
) -> Problems:
    """Names of what a transaction rule's filter can never meet."""
    for name, values, known, problem in (
        ("banks", wanted.banks, bank_names(), "{} is not a bank code"),
        ("channels", wanted.channels, channels, "there is no channel {}"),
        ("apps", wanted.apps, apps, "there is no app {}"),
    ):
        for position, value in enumerate(values or ()):
            if value not in known:
                yield f"{path}.{name}[{position}]: {problem.format(value)}"


def _bank_problems(path: str, banks: list[str]) -> Problems:
    for position, bank in enumerate(banks):
        if bank not in bank_names() and banks != [ALL_BANKS]:
            yield f"{path}[{position}]: {bank} is not a bank code"
    yield from repeated(path, banks)


def repeated(path: str, values: Iterable[str]) -> Problems:
    """What a list has more than once."""
    seen: set[str] = set()
    for number, value in enumerate(values):
        if value in seen:
            yield f"{path}[{number}]: {value} is given twice"
        seen.add(value)


def _scene_problems(
    path: str, rule: RuleShape, channel: ChannelShape, accounts: Mapping[str, AccountShape]
) -> Problems:
    account = accounts.get(channel.account)
    if account is None or account.provider not in PROVIDERS:
        return
    offer = offer_for(account_content(account))
    for number, scene in enumerate(rule.scenes):
        if why := offer.why_not_pay(scene):
            yield f"{path}.scenes[{number}]: {why}"
            continue
        if scene in CUSTODY_SCENES and channel.psp_code is None:
            yield f"{path}.scenes[{number}]: the bank is not told whom to charge {scene} through: {NAME_PSP}"
        modes = {mode_of(channel.authentication, bank) for bank in banks_of(rule)}
        for mode in sorted(filter(None, modes)):
            if why := offer.why_not_way(scene, mode):
                yield f"{path}.scenes[{number}]: {why}"


def unknown(name: str, what: str, known: Iterable[str]) -> str:
    """That something is not there, and what is."""
    names = sorted(known)
    return f"there is no {what} {name}" + (f"; there are {shortened(names)}" if names else "")


def shortened(names: list[str], most: int = 8) -> str:
    """The first of many names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
