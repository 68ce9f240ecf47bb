"""What Baofoo's commands do not say by themselves: terms, papers, and what no public source says for sure."""

from typing import Final

from adapters.baofoo.letter import PAPERS
from adapters.baofoo.payouts import PAYEES
from gateway.domain.carrying import Carries
from gateway.domain.scenes import Scene
from gateway.domain.terms import Product, Terms, Watch
from gateway.ports import (
    AskBalance,
    AskRefund,
    AskReturnedPayouts,
    Assumption,
    Declaration,
    Payout,
    Refund,
    SendPaymentCode,
    SendSigningCode,
    Sign,
)

__all__ = ["DECLARATION"]

# "Do not ask at once after a timeout, but later" (H), without numbers: these are our choice.
POLL_GAPS_S: Final = (10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
# A payout takes minutes, and is asked about by its number for 24 hours alone (H).
PAYOUT_POLL_GAPS_S: Final = (30.0, 60.0, 120.0, 300.0, 600.0)
# One that came back within those hours is told by the question, later ones by the list of the day on which they did.
# How late banks give one back is not public: our choice.
PAYOUT_WATCH: Final = Watch(gaps_s=(3600.0,), for_s=20 * 3600.0, listed_days=10)
# People look at a refund before it goes out, and days may pass (H); a notice comes at its end: our choice.
REFUND_POLL_GAPS_S: Final = (60.0, 240.0, 600.0, 1800.0)
ANSWER_TIMEOUT_S: Final = 60.0  # no source states one; a payment waits for the bank, and a cut answer costs a poll

DECLARATION: Final = Declaration(
    provider="baofoo",
    statements=True,
    scenes=frozenset({Scene.QUICK_CHARGE, Scene.WITHHOLD}),
    terms={
        # 128 is "no such order", and no source says that it will not be there later.
        Product.PAYMENT: Terms(POLL_GAPS_S, None, ANSWER_TIMEOUT_S),
        Product.AUTHENTICATION: Terms(POLL_GAPS_S, None, ANSWER_TIMEOUT_S),
        # 128 again, which is no proof.
        Product.REFUND: Terms(REFUND_POLL_GAPS_S, None, ANSWER_TIMEOUT_S),
        # 0401 is "no such order", and never proof: the statement decides (H).
        Product.PAYOUT: Terms(PAYOUT_POLL_GAPS_S, None, ANSWER_TIMEOUT_S, watch=PAYOUT_WATCH),
    },
    carries=Carries(id_types=frozenset(PAPERS)),
    payees=PAYEES,
    identity=frozenset({"member_id", "terminal_id"}),
    assumptions=(
        Assumption(
            "order_time",
            "Every request on an order may state the order's own send_time, a question days later, too.",
        ),
        Assumption(
            "another_code",
            "After a wrong code the unique_code of the same SMS takes another one (02, 06), and a question (07) about "
            "an order that was not paid for want of the right code tells the code's refusal.",
            frozenset({SendSigningCode, Sign, SendPaymentCode}),
        ),
        Assumption(
            "payout_fields",
            "BF0040001 takes a trans_no of 32 letters and digits, and a firm's account as a person's, with province, "
            "city and branch; the certificates are those of protocol pay.",
            frozenset({Payout}),
        ),
        Assumption(
            "returned_list",
            "BF0040003 lists a payout on the day on which it came back, and answers 0401 for a day without any.",
            frozenset({Payout, AskReturnedPayouts}),
        ),
        Assumption(
            "refund_fields",
            "331/09 takes a refund_order_no and a trans_serial_no of 32 letters and digits, 331/10 finds a refund by "
            "that number however old it is, and the certificates are those of protocol pay.",
            frozenset({Refund, AskRefund}),
        ),
        Assumption(
            "refund_codes",
            "A refund is refused with the codes that refuse a payment: BF00103 is the merchant's balance, and those of "
            "a request's form, its merchant or its permission are never told of a refund that was taken on.",
            frozenset({Refund, AskRefund}),
        ),
        Assumption(
            "balance_query",
            "BF0001 of the open service answers in yuan, without a signature, what payouts can take (account_type 1), "
            "to a question whose MD5 is over its fields in their order and the `balance_key` of `balance_terminal_id`.",
            frozenset({AskBalance}),
        ),
        Assumption(
            "statement_files",
            "A day's files (fileLoadRequest) are UTF-8 without head or total; fi has yuan, or the account's "
            "`statement_unit`, and names of a refund its payment, or by `statement_refund_order` itself; fo begins as "
            "fi does, and a payout that came back stands with state 2 in the file of the day on which it did.",
            statements=True,
        ),
    ),
    code_wants_agreement=True,  # 05 names the agreement to be paid by
    # An order that was not paid may be sent again under its number (H); the SMS's own code: under `another_code`.
    wrong_code_ends_order=False,
    authenticated_scenes=frozenset({Scene.QUICK_CHARGE, Scene.WITHHOLD}),  # and so does 08
)
