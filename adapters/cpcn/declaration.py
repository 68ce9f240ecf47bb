"""What CPCN's adapter declares: what it can carry, how it asks, and what of it is not known for sure."""

from typing import Final

from adapters.cpcn.codes import BANKS, ID_TYPES
from gateway.domain.carrying import Carries
from gateway.domain.scenes import Scene
from gateway.domain.terms import Product, Terms
from gateway.ports import AskRefund, Assumption, Declaration, Refund, SendPaymentCode

__all__ = ["DECLARATION"]

# CPCN's own library reads for 50 s over HTTPS, its PHP demo for 120 s (H): an answer that is cut costs a question.
ANSWER_TIMEOUT_S: Final = 50.0
# No source says how often to ask: our choice.
POLL_GAPS_S: Final = (2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
# Refunds are netted against the income of the day (H): nothing is gained by asking every 5 minutes.
REFUND_POLL_GAPS_S: Final = (10.0, 60.0, 300.0, 1800.0)
# What "no such order" proves no source says, of any of them: never proof.
NOT_FOUND: Final = None

DECLARATION: Final = Declaration(
    provider="cpcn",
    scenes=frozenset({Scene.QUICK_CHARGE, Scene.WITHHOLD}),
    terms={
        Product.PAYMENT: Terms(POLL_GAPS_S, NOT_FOUND, ANSWER_TIMEOUT_S),
        Product.AUTHENTICATION: Terms(POLL_GAPS_S, NOT_FOUND, ANSWER_TIMEOUT_S),
        Product.REFUND: Terms(REFUND_POLL_GAPS_S, NOT_FOUND, ANSWER_TIMEOUT_S),
    },
    carries=Carries(banks=frozenset(BANKS), id_types=frozenset(ID_TYPES)),
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
            "The states of a refund (2522) are 10 and 20 in process, 30 refunded, 40 failed; those of another product "
            "are 20 failed and 40 refunded.",
            frozenset({Refund, AskRefund}),
        ),
    ),
    code_wants_agreement=True,  # 2541 names a TxSNBinding (H)
    # VerifyStatus 30: the same number takes another code; where that is switched on the state is 10, in process (M).
    wrong_code_ends_order=False,
    # Quick payments name a TxSNBinding, and have the only SMS of a payment; a withhold names the card (H).
    authenticated_scenes=frozenset({Scene.QUICK_CHARGE}),
    codeless_scenes=frozenset({Scene.WITHHOLD}),
)
