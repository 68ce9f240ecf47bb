"""What LianLian's quick pay can do, by which terms, and what of it no public source says for sure."""

from typing import Final

from adapters.lianlian.payouts import PAYEES
from gateway.domain.scenes import Scene
from gateway.domain.terms import Product, Terms, Watch
from gateway.ports import (
    AskPayout,
    AskRefund,
    Assumption,
    ConfirmPayout,
    Declaration,
    Pay,
    Payout,
    Refund,
    SendSigningCode,
)

__all__ = ["DECLARATION"]

# No source says how often to ask. A bank answers within seconds or not for long.
POLL_GAPS_S: Final = (2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
PAYOUT_POLL_GAPS_S: Final = (5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
# A notice tells that one came back; how late is not public. Asked about as the safety net: our choice.
PAYOUT_WATCH: Final = Watch(gaps_s=(6 * 3600.0,), for_s=10 * 24 * 3600.0)
# "15 minutes after" it was asked for (H). A bank takes days, and a notice tells of success.
REFUND_POLL_GAPS_S: Final = (900.0, 1800.0, 3600.0)
ANSWER_TIMEOUT_S: Final = 30.0  # the demo's (H)

DECLARATION: Final = Declaration(
    provider="lianlian",
    statements=True,
    scenes=frozenset({Scene.QUICK_CHARGE}),
    terms={
        # No source says what "no record" (8901) proves: an account that agreed to something says so.
        Product.PAYMENT: Terms(POLL_GAPS_S, None, ANSWER_TIMEOUT_S),
        Product.REFUND: Terms(REFUND_POLL_GAPS_S, None, ANSWER_TIMEOUT_S),
        # "There may be a record all the same" (H): never proof.
        Product.PAYOUT: Terms(PAYOUT_POLL_GAPS_S, None, ANSWER_TIMEOUT_S, watch=PAYOUT_WATCH),
        # A binding is never asked about: it is in no question's signature.
        Product.AUTHENTICATION: Terms(POLL_GAPS_S, None, ANSWER_TIMEOUT_S, late_looks=0),
    },
    # Cards of every bank, and of people with an ID card: "only 0 is accepted today" (H).
    payees=PAYEES,
    identity=frozenset({"oid_partner"}),
    assumptions=(
        Assumption(
            "residence_permits",
            "Residence permits of people from Hong Kong, Macau and Taiwan (81, 82, 83) are id_type 0.",
            residence_permits=True,
        ),
        Assumption(
            "short_risk_item",
            "LianLian takes this merchant's requests with a risk_item of the user, the phone, the goods and what the "
            "account's own `risk_item` says, without when the user registered and from which IP address he pays.",
            frozenset({SendSigningCode, Pay}),
        ),
        Assumption(
            "same_number_again",
            "After an SMS (8888) the same bankcardbind or bankcardprepay may be sent again under its no_order: another "
            "SMS goes out, and its token is the one that counts.",
            frozenset({SendSigningCode, Pay}),
        ),
        Assumption(
            "payout_product",
            "LianLian pays out under the oid_partner and the keys of its quick pay, and a payout's notice has the "
            "info_order that was sent and no pay_type, which a payment's always has.",
            frozenset({Payout, ConfirmPayout, AskPayout}),
        ),
        Assumption(
            "refund_product",
            "LianLian gives back under the oid_partner and the keys of its quick pay, and a refund's notice has "
            "no_refund, money_refund and sta_refund, and neither no_order nor result_pay.",
            frozenset({Refund, AskRefund}),
        ),
        Assumption(
            "payout_firms",
            "A firm's payout takes bank_code and prcptcd, with bank_name, without city_code.",
            frozenset({Payout}),
        ),
        Assumption(
            "statement_columns",
            "LianLian's files of a day, one of receipts and one of payouts, are UTF-8 with commas, a header line and "
            "14 columns: our number, merchant, our time, business, LianLian's number (of a refund: our number of the "
            "payment), accounting date, amount in yuan (of a refund below zero), 0 receipt or 1 payout, state 0 done "
            "or 5 refunded, time of the change (yyyyMMdd HH:mm:ss), fee in yuan, product, way, text; they have what "
            "was done, all of it and nothing else, and a payout of state 5 came back.",
            statements=True,
        ),
    ),
    pay_sends_code=True,
    # bankcardprepay takes the card's elements in place of an agreement.
    code_wants_agreement=False,
    # 9702 is "too many wrong codes for this SMS, get another": so there may be several, under the same token (H).
    wrong_code_ends_order=False,
    # A card without an agreement is asked for an SMS (8888): its payment binds it, too (H).
    authenticated_scenes=frozenset({Scene.QUICK_CHARGE}),
)
