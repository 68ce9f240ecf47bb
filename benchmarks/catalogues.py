"""What the gateways know: one merchant, one app, one endpoint, and two channels, so that the router ranks."""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final

from gateway.domain.catalogue import AuthenticationMode
from gateway.domain.catalogue_content import (
    AccountContent,
    AppContent,
    CatalogueFile,
    ChannelContent,
    EndpointContent,
    KeyContent,
    MerchantContent,
    RuleContent,
    key_hash_of,
)
from gateway.domain.scenes import Scene
from gateway.domain.terms import NotFoundRule, OwnTerms, Product
from router.fees import Fee, FixedFee, PercentFee
from router.limits import RuleLimits

__all__ = ["MERCHANT", "catalogue", "hmac_account", "other_merchants", "unionpay_account"]

MERCHANT: Final = "bench"
BANKS: Final = ("ICBC", "ABC", "BOC", "CCB", "COMM", "PSBC", "CMB", "CITIC", "CEB", "CMBC", "SPABANK", "CIB", "SPDB")
SINGLE_FEN, DAILY_FEN, INSUFFICIENT = 5_000_000, 2_000_000_000, 3
UNIONPAY_POLL_GAPS_S: Final = (15.0, 30.0, 60.0)
"""Callbacks tell the results. The adapter's own first second would, on a machine this busy, measure polls instead."""
ANSWER_TIMEOUT_S: Final = 20.0


def hmac_account(url: str, key: str) -> AccountContent:
    """The account at the mock that signs by HMAC."""
    return AccountContent("main", "hmac", {"url": url}, {"key": key})


def unionpay_account(base_url: str, keys: Path) -> AccountContent:
    """The account at UnionPay's sandbox, whose keys are in `keys`."""
    known = json.loads((keys / "account.json").read_text())
    settings = {
        "base_url": base_url,
        "mer_id": known["mer_id"],
        "tr_id": known["tr_id"],
        "signer_cn": known["psp_common_name"],
    }
    files = {
        "merchant_private_key": "merchant.key.pem",
        "merchant_certificate": "merchant.cert.pem",
        "root_certificate": "root.pem",
        "middle_certificate": "middle.pem",
    }
    secrets = {name: (keys / file).read_text() for name, file in files.items()}
    return AccountContent(
        "main",
        "unionpay",
        settings,
        secrets,
        terms={
            Product.PAYMENT: OwnTerms(UNIONPAY_POLL_GAPS_S, NotFoundRule(answers=4, over_s=8.0), ANSWER_TIMEOUT_S),
            Product.AUTHENTICATION: OwnTerms(answer_timeout_s=ANSWER_TIMEOUT_S),
        },
    )


def catalogue(
    account: AccountContent, mode: AuthenticationMode, api_key: str, endpoint_url: str, endpoint_secret: str
) -> CatalogueFile:
    """Two channels of one account with rules for every bank; limits are set and never reached."""
    any_bank: Mapping[str, AuthenticationMode] = {"*": mode}
    fees: dict[str, Fee] = {"cheap": PercentFee(Decimal("0.002"), min=20), "flat": FixedFee(100)}
    merchant = MerchantContent(
        MERCHANT,
        "Benchmark",
        apps=(AppContent("loans", "loans", (KeyContent("bench", key_hash_of(api_key)),)),),
        endpoints=(EndpointContent("loans", "loans", endpoint_url, None, True, (endpoint_secret,)),),
        accounts=(account,),
        channels=tuple(ChannelContent(code, account.code, code, True, any_bank, 0) for code in fees),
        rules=tuple(
            RuleContent(
                code,
                Scene.WITHHOLD,
                bank,
                True,
                fee,
                limits=RuleLimits(SINGLE_FEN, DAILY_FEN, INSUFFICIENT),
            )
            for code, fee in fees.items()
            for bank in BANKS
        ),
    )
    return CatalogueFile((merchant,))


def other_merchants(count: int, channels_each: int, fee_fen: int) -> tuple[MerchantContent, ...]:
    """Merchants that nobody pays, whose rules (one a channel and bank) only make the catalogue large."""
    account = hmac_account("http://127.0.0.1:9", "0" * 64)
    codes = [f"channel-{number}" for number in range(channels_each)]
    rules = tuple(
        RuleContent(code, Scene.WITHHOLD, bank, True, FixedFee(fee_fen), limits=RuleLimits(single_limit=SINGLE_FEN))
        for code in codes
        for bank in BANKS[:-1]
    )
    channels = tuple(
        ChannelContent(code, account.code, code, True, {"*": AuthenticationMode.NONE}, 0) for code in codes
    )
    return tuple(
        MerchantContent(f"other-{number}", f"Other {number}", accounts=(account,), channels=channels, rules=rules)
        for number in range(count)
    )
