"""Reading a catalogue file, from its path to its checked content."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.catalogue_file.checks import (
    ALL_BANKS,
    account_content,
    address_problems,
    banks_of,
    hash_of,
    problems_of,
    warnings_of,
)
from gateway.catalogue_file.kept import Keeper
from gateway.catalogue_file.payouts import payout_problems, payout_rules, payout_warnings
from gateway.catalogue_file.references import Resolver, joined
from gateway.catalogue_file.shape import BlockShape, FileShape, MerchantShape, RuleShape, WindowShape
from gateway.catalogue_file.signers import signer_problems, signer_warnings
from gateway.catalogue_file.syntax import UnreadableFileError, parsed
from gateway.domain.catalogue_content import (
    AppContent,
    BlockContent,
    CatalogueFile,
    ChannelContent,
    EndpointContent,
    KeyContent,
    MerchantContent,
    RuleContent,
    WindowContent,
)

MAX_PROBLEMS = 100
"""More are counted, not listed."""


class CatalogueFileError(Exception):
    """A catalogue file that cannot be used. `problems` says where and what, and never shows a secret."""

    def __init__(self, problems: list[str]) -> None:
        more = len(problems) - MAX_PROBLEMS
        self.problems = [*problems[:MAX_PROBLEMS], f"and {more} more problems"] if more > 0 else problems
        super().__init__("\n".join(self.problems))


def read_catalogue(
    path: Path, environ: Mapping[str, str], in_force: Iterable[MerchantContent] = (), callback_base: str = ""
) -> CatalogueFile:
    """Read and check a file; `environ` is for `${…}`, `{env=…}` and `SLUICE_ENV`. Raises CatalogueFileError.

    `in_force` is for `{kept=true}`: the secrets that stay. `callback_base`: what stands before `/callbacks/…`, where it
    is known: an account whose PSP's field has no place for its address is refused.
    """
    try:
        raw = parsed(path)
    except UnreadableFileError as error:
        raise CatalogueFileError([str(error)]) from None
    keeper = Keeper(in_force)
    merchants = _shaped(raw, Resolver(path.absolute().parent, environ), environ, keeper).merchants
    problems = list(problems_of(merchants, production=environ.get("SLUICE_ENV") == "production"))
    problems += signer_problems(merchants)
    problems += payout_problems(merchants)
    problems += address_problems(merchants, callback_base)
    if problems:
        raise CatalogueFileError(problems)
    contents = tuple(_merchant(merchant) for merchant in merchants)
    warnings = (*warnings_of(merchants), *signer_warnings(merchants), *payout_warnings(merchants))
    return CatalogueFile(contents, warnings, keeper.keeps)


def _shaped(raw: object, resolver: Resolver, environ: Mapping[str, str], keeper: Keeper) -> FileShape:
    resolved = resolver.resolve(raw)
    keeper.fill(resolved)
    unresolved = resolver.problems | keeper.problems
    problems = [f"{path}: {problem}" for path, problem in unresolved.items()]
    try:
        shape = FileShape.model_validate(resolved, context=environ)
    except ValidationError as error:
        for details in error.errors(include_url=False, include_input=False):
            path, problem = said(details)
            # An empty text stands where a reference led nowhere; that it is empty is not worth telling.
            if path not in unresolved:
                problems.append(f"{path}: {problem}")
        raise CatalogueFileError(problems) from None
    if problems:
        raise CatalogueFileError(problems)
    return shape


def said(details: ErrorDetails) -> tuple[str, str]:
    """Path and problem of what a shape refused, in our words."""
    path = ""
    for part in details["loc"]:
        if part == "[key]":
            continue  # it is the name itself that is wrong
        path = f"{path}[{part}]" if isinstance(part, int) else joined(path, part)
    context = details.get("ctx", {})
    if details["type"] == "catalogue":
        return (joined(path, context["path"]) if context["path"] else path), context["problem"]
    if details["type"] == "missing":
        return path, "is missing"
    if details["type"] == "extra_forbidden":
        return path, "is not known here"
    if details["type"] == "timezone_aware":
        return path, "must say its offset from UTC, such as 2026-10-01T02:00:00+08:00"
    message = details["msg"]
    for what in ("Input", "String", "List", "Value"):
        message = message.replace(f"{what} should", "must", 1) if message.startswith(f"{what} should") else message
    return path, message.replace(" after validation", "")


def _merchant(shape: MerchantShape) -> MerchantContent:
    return MerchantContent(
        code=shape.code,
        name=shape.name,
        last_attempt_max_age_s=shape.last_attempt_max_age_s,
        unresolved_counts_after_s=shape.unresolved_counts_after_s,
        authentication_spread=shape.authentication_spread,
        primary_signer=shape.primary_signer,
        primary_signers=shape.primary_signers,
        sms_per_phone_and_day=shape.sms_per_phone_and_day,
        watch=shape.watch,
        apps=tuple(
            AppContent(
                app.code,
                app.name,
                tuple(KeyContent(key.label, hash_of(key)) for key in app.keys),
                tuple(sorted(set(app.return_hosts))),
            )
            for app in shape.apps
        ),
        endpoints=tuple(
            EndpointContent(
                code=endpoint.code,
                app=endpoint.app,
                url=endpoint.url,
                event_types=tuple(sorted(set(endpoint.event_types))) if endpoint.event_types else None,
                allow_private=endpoint.allow_private,
                secrets=tuple(endpoint.secrets),
            )
            for endpoint in shape.endpoints
        ),
        accounts=tuple(account_content(account) for account in shape.accounts),
        channels=tuple(
            ChannelContent(
                code=channel.code,
                account=channel.account,
                name=channel.name,
                on=channel.on,
                authentication=channel.authentication,
                authentication_fee=channel.authentication_fee,
                limits=channel.limits,
                psp_code=channel.psp_code,
                authentication_fees=channel.later_authentication_fees,
            )
            for channel in shape.channels
        ),
        windows=tuple(_window(window) for window in shape.windows),
        rules=tuple(row for rule in shape.rules for row in _rows(rule)),
        payout_rules=tuple(row for channel in shape.channels for row in payout_rules(channel)),
        transaction_rules=tuple(sorted((each.rule for each in shape.transaction_rules), key=lambda rule: rule.code)),
        blocks=tuple(_block(block) for block in shape.blocks),
    )


def _window(shape: WindowShape) -> WindowContent:
    return WindowContent(
        channel=shape.channel,
        starts_at=shape.starts_at,
        ends_at=shape.ends_at,
        note=shape.note,
        repeats=shape.repeats,
        banks=None if shape.banks in (None, [ALL_BANKS]) else tuple(sorted(shape.banks or ())),
        scenes=None if shape.scenes is None else tuple(sorted(shape.scenes)),
    )


def _block(shape: BlockShape) -> BlockContent:
    printed = None if shape.print is None else bytes.fromhex(shape.print)
    return BlockContent(shape.kind, shape.blocked, shape.reason, shape.expires_at, printed)


def _rows(rule: RuleShape) -> list[RuleContent]:
    return [
        RuleContent(
            channel=rule.channel,
            scene=scene,
            bank=bank,
            enabled=rule.enabled,
            fee=rule.fee,
            priority=rule.priority,
            limits=rule.limits,
            daily_insufficient_by=rule.daily_insufficient_by,
            fees=rule.later_fees,
        )
        for scene in rule.scenes
        for bank in banks_of(rule)
    ]
