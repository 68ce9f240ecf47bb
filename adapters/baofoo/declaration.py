"""What Baofoo's commands do not say by themselves: terms, papers, and what no public source says for sure."""

from typing import Final

from adapters.baofoo.letter import PAPERS
from gateway.domain.carrying import Carries
from gateway.domain.scenes import Scene
from gateway.domain.terms import Product, Terms
from gateway.ports import Assumption, Declaration, SendPaymentCode, SendSigningCode, Sign

__all__ = ["DECLARATION"]

# "Do not ask at once after a timeout, but later" (H), without numbers: these are our choice.
POLL_GAPS_S: Final = (10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
ANSWER_TIMEOUT_S: Final = 60.0  # no source states one; a payment waits for the bank, and a cut answer costs a poll

DECLARATION: Final = Declaration(
    provider="baofoo",
    scenes=frozenset({Scene.QUICK_CHARGE, Scene.WITHHOLD}),
    terms={
        # 128 is "no such order", and no source says that it will not be there later.
        Product.PAYMENT: Terms(POLL_GAPS_S, None, ANSWER_TIMEOUT_S),
        Product.AUTHENTICATION: Terms(POLL_GAPS_S, None, ANSWER_TIMEOUT_S),
    },
    carries=Carries(id_types=frozenset(PAPERS)),
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
    ),
    code_wants_agreement=True,  # 05 names the agreement to be paid by
    # An order that was not paid may be sent again under its number (H); the SMS's own code: under `another_code`.
    wrong_code_ends_order=False,
    authenticated_scenes=frozenset({Scene.QUICK_CHARGE, Scene.WITHHOLD}),  # and so does 08
)
