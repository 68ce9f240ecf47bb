"""What UnionPay's commands do not say by themselves: terms, papers, and what no public source says for sure."""

from typing import Final

from adapters.unionpay.sensitive import PAPERS
from gateway.domain.carrying import Carries
from gateway.domain.payees import PayeeRules, PayeeType
from gateway.domain.redirects import RedirectRules
from gateway.domain.scenes import Scene
from gateway.domain.terms import NotFoundRule, Product, Terms
from gateway.ports import (
    AskAuthentication,
    AskPayment,
    AskPayout,
    AskRefund,
    Assumption,
    Authenticate,
    Declaration,
    Pay,
    Payout,
    Redirect,
    Refund,
    SendPaymentCode,
    SendSigningCode,
    Sign,
)

__all__ = ["DECLARATION", "PAYEES"]

# "At most 6 queries with gaps 1, 2, 4, 8, 16, 32 s" (H); code 37 punishes more. 300 s afterwards is our choice.
POLL_GAPS_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 300.0)
# The advice leaves none for later, and code 37 ("too many queries") punishes whoever asks on: three after the end.
LATE_LOOKS: Final = 3
# A refund's final word may take longer: nothing is gained by asking every 5 minutes for days. Our choice.
REFUND_POLL_GAPS_S: Final = (*POLL_GAPS_S, 1800.0)
# Of payouts the demo asks first after 3 minutes, and then as above (H).
PAYOUT_POLL_GAPS_S: Final = (180.0, 2.0, 4.0, 8.0, 16.0, 32.0, 300.0, 1800.0)
PAYEES: Final = PayeeRules(needs={PayeeType.PERSONAL: frozenset()})
# Of what is paid on its page UnionPay advises 5, 10, 30, 60 and 120 minutes (H): the payer takes minutes.
PAGE_POLL_GAPS_S: Final = (300.0, 600.0, 1800.0, 3600.0, 7200.0)
GRACE_S: Final = 300.0
"""UnionPay calls final what a question tells after payTimeout (H). What the payer did in the last second may still be
on its way to the issuer and back, by both of whose clocks it was in time: five minutes are our choice."""
ANSWER_TIMEOUT_S: Final = 30.0  # the demo's read timeout (H)
# 34 is "not a failure, ask again; the final word is the statement" (H): a day, unless the account knows better.
NOT_FOUND: Final = NotFoundRule(answers=6, over_s=24 * 3600)

ASSUMPTIONS: Final = (
    Assumption(
        "one_order_for_sms",
        "The SMS may be sent again, and another code be tried after a wrong one, under the same orderId and txnTime.",
        frozenset({SendSigningCode, Sign, SendPaymentCode}),
    ),
    Assumption(
        "settlement",
        "Notifications and queries of finished orders state settleAmt; synchronous answers and SMS never do.",
        frozenset({Pay, AskPayment, Refund}),
        since_first_version=True,
    ),
    Assumption(
        "silent_opening",
        "A card whose issuer wants an SMS code is answered 71 when it is opened (79/00) without one.",
        frozenset({Authenticate}),
        since_first_version=True,
    ),
    Assumption(
        "open_query",
        "78/02 tells the token of an opening by back call, as it does of one by front page.",
        frozenset({AskAuthentication}),
        since_first_version=True,
    ),
    Assumption(
        "refund_codes",
        "A refund answered 35, 36 or 45 was not done, and 64 means that the merchant's balance is short.",
        frozenset({Refund, AskRefund}),
        since_first_version=True,
    ),
    Assumption(
        "residence_permits",
        "Residence permits of people from Hong Kong, Macau and Taiwan (81, 82, 83) are certifTp 01.",
        frozenset({Authenticate, Pay}),
        since_first_version=True,
    ),
    Assumption(
        "form_again",
        "Until its payTimeout the form of an unpaid order opens the page as often as it is brought, though its txnTime "
        "is minutes old by then.",
        frozenset({Redirect}),
    ),
    Assumption(
        "payout_codes",
        "A payout with the code 64 failed for want of the merchant's balance, one with 61, 63, 65, 66 or 73 for the "
        "payee's account or name; 01, 12, 34 and 60 are no final word; and its notices state settleAmt.",
        frozenset({Payout, AskPayout}),
    ),
    Assumption(
        "statement_columns",
        "ZM files still have the columns of UnionPay's sample of 2015, with D before a fee that the merchant pays and "
        "before a settled amount that is taken from him, so that a payout with C came back; lines of ZME files tell no "
        "order of ours.",
        statements=True,
    ),
)

DECLARATION: Final = Declaration(
    provider="unionpay",
    statements=True,
    scenes=frozenset({Scene.WITHHOLD, Scene.QUICK_CHARGE, Scene.NETBANK_CHARGE}),
    terms={
        Product.PAYMENT: Terms(POLL_GAPS_S, NOT_FOUND, ANSWER_TIMEOUT_S, LATE_LOOKS),
        # No source says what "not found" proves of an opened card.
        Product.AUTHENTICATION: Terms(POLL_GAPS_S, None, ANSWER_TIMEOUT_S, LATE_LOOKS),
        Product.REFUND: Terms(REFUND_POLL_GAPS_S, NOT_FOUND, ANSWER_TIMEOUT_S, LATE_LOOKS),
        # That one came back is told by no question and no notice that is public: it is not watched.
        Product.PAYOUT: Terms(PAYOUT_POLL_GAPS_S, NOT_FOUND, ANSWER_TIMEOUT_S, LATE_LOOKS),
        # 34 is told of every form that nobody has opened: it proves nothing before expiry and grace.
        Product.REDIRECT: Terms(PAGE_POLL_GAPS_S, None, ANSWER_TIMEOUT_S, LATE_LOOKS),
    },
    carries=Carries(id_types=frozenset(PAPERS)),
    payees=PAYEES,
    identity=frozenset({"mer_id"}),
    assumptions=ASSUMPTIONS,
    # 77/02 and 01/01 name a token (H).
    code_wants_agreement=True,
    # Under `one_order_for_sms`, without which no SMS is sent.
    wrong_code_ends_order=False,
    # 01/01 is paid by a token, and has the only SMS of a payment (77/02); 11/00 names the card (H).
    authenticated_scenes=frozenset({Scene.QUICK_CHARGE}),
    codeless_scenes=frozenset({Scene.WITHHOLD}),
    redirects=RedirectRules(ends_at_expiry=True, grace_s=GRACE_S),
)
