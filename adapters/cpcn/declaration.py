"""What CPCN's adapter declares: what it can carry, how it asks, and what of it is not known for sure."""

from typing import Final

from adapters.cpcn.codes import BANKS, ID_TYPES, PAGE_BANKS
from adapters.cpcn.payouts import PAYEES
from gateway.domain.carrying import Carries
from gateway.domain.redirects import RedirectRules
from gateway.domain.scenes import Scene
from gateway.domain.terms import Product, Terms, Watch
from gateway.ports import (
    AskBalance,
    AskPayout,
    AskRefund,
    Assumption,
    Declaration,
    Payout,
    Redirect,
    Refund,
    SendPaymentCode,
)

__all__ = ["DECLARATION"]

# CPCN's own library reads for 50 s over HTTPS, its PHP demo for 120 s (H): an answer that is cut costs a question.
ANSWER_TIMEOUT_S: Final = 50.0
# No source says how often to ask: our choice.
POLL_GAPS_S: Final = (2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
# Refunds are netted against the income of the day (H): nothing is gained by asking every 5 minutes.
REFUND_POLL_GAPS_S: Final = (10.0, 60.0, 300.0, 1800.0)
# How long a transfer may come back is not public; banks return within days: our choice.
PAYOUT_WATCH: Final = Watch(gaps_s=(6 * 3600.0,), for_s=10 * 24 * 3600.0)
# A payer takes minutes, and a notice comes when it is paid; one who went away leaves an order that is open for days.
PAGE_POLL_GAPS_S: Final = (15.0, 30.0, 60.0, 120.0, 300.0, 300.0, 300.0, 600.0, 1800.0)
GRACE_S: Final = 1800.0
"""CPCN is told no expiry, and how long a bank's page lives is not public: nothing is proved by this time."""
# What "no such order" proves no source says, of any of them: never proof. Of a form that nobody has opened it is told,
# too, and that form may be opened yet.
NOT_FOUND: Final = None

DECLARATION: Final = Declaration(
    provider="cpcn",
    statements=True,
    scenes=frozenset({Scene.QUICK_CHARGE, Scene.WITHHOLD, Scene.NETBANK_CHARGE}),
    terms={
        Product.PAYMENT: Terms(POLL_GAPS_S, NOT_FOUND, ANSWER_TIMEOUT_S),
        Product.AUTHENTICATION: Terms(POLL_GAPS_S, NOT_FOUND, ANSWER_TIMEOUT_S),
        Product.REDIRECT: Terms(PAGE_POLL_GAPS_S, NOT_FOUND, ANSWER_TIMEOUT_S),
        Product.REFUND: Terms(REFUND_POLL_GAPS_S, NOT_FOUND, ANSWER_TIMEOUT_S),
        Product.PAYOUT: Terms(REFUND_POLL_GAPS_S, NOT_FOUND, ANSWER_TIMEOUT_S, watch=PAYOUT_WATCH),
    },
    carries=Carries(banks=frozenset(BANKS), id_types=frozenset(ID_TYPES), page_banks=PAGE_BANKS),
    payees=PAYEES,
    identity=frozenset({"institution_id"}),
    assumptions=(
        Assumption(
            "residence_permits",
            "Residence permits of people from Hong Kong, Macau and Taiwan (81, 82, 83) are IdentificationType 0.",
            residence_permits=True,
        ),
        Assumption(
            "payment_code_again",
            "An SMS for a payment (2541) may be sent again under the same PaymentNo, and after a wrong code (2542, "
            "VerifyStatus 30) that PaymentNo takes another one.",
            frozenset({SendPaymentCode}),
        ),
        Assumption(
            "refund_states",
            "The states of a refund (2522, 1132, 1138) are 20 failed and 40 refunded, as those of another product are; "
            "any other is not final.",
            frozenset({Refund, AskRefund}),
        ),
        Assumption(
            "page_states",
            "The question about a payment on a bank's page (1120) answers Status 20 for one that is paid, as the "
            "notice (1118) does, and 10 for one that is not.",
            frozenset({Redirect}),
        ),
        Assumption(
            "payout_states",
            "A payout (1341, 1350, 1348) with Status 10, 15 or 30 is in process, 40 is paid and 50 came back, whenever "
            "that is told; a question about one that CPCN does not know is answered as one about a payment is.",
            frozenset({Payout, AskPayout}),
        ),
        Assumption(
            "payout_order",
            "A payout takes its own SerialNumber as its OrderNo, unless the account names its `market_order_no`.",
            frozenset({Payout}),
        ),
        Assumption(
            "balance_account",
            "4510 takes the institution in its body and answers in fen the Balance of `balance_account_no`, the "
            "account that payouts are paid from.",
            frozenset({AskBalance}),
        ),
        Assumption(
            "statement_rows",
            "In a statement (1811) TxSn is our number of the order, a payout that came back is a transaction 1348, and "
            "InstitutionFee less InstitutionRefundFee is in fen what CPCN takes for it.",
            statements=True,
        ),
    ),
    code_wants_agreement=True,  # 2541 names a TxSNBinding (H)
    # VerifyStatus 30: the same number takes another code; where that is switched on the state is 10, in process (M).
    wrong_code_ends_order=False,
    # Quick payments name a TxSNBinding, and have the only SMS of a payment; a withhold names the card (H).
    authenticated_scenes=frozenset({Scene.QUICK_CHARGE}),
    codeless_scenes=frozenset({Scene.WITHHOLD}),
    redirects=RedirectRules(ends_at_expiry=False, grace_s=GRACE_S),
)
