"""What the lanmao adapter declares: what it can carry, how it asks, and what of it is not known for sure."""

from typing import Final

from adapters.lanmao.codes import BANKS
from gateway.domain.carrying import Carries
from gateway.domain.redirects import RedirectRules
from gateway.domain.scenes import CUSTODY_SCENES
from gateway.domain.terms import Product, Terms
from gateway.ports import Assumption, Declaration, Pay, Redirect

__all__ = ["ANY_BANK", "DECLARATION"]

ANY_BANK: Final = "ANY"
"""No bankcode: the payment company's own page lists the banks (H)."""
# Neither how long an answer takes nor how often one may ask is public: our choice.
ANSWER_TIMEOUT_S: Final = 30.0
POLL_GAPS_S: Final = (2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
# A payer takes minutes, and the bank tells of what was paid.
REDIRECT_POLL_GAPS_S: Final = (60.0, 120.0, 300.0)
# The code of "no such record" is not public, and a page may be opened after it was said: never proof.
NOT_FOUND: Final = None
# A payment begun before the page expired may be PENDDING for long after it (H): no expiry proves anything.
GRACE_S: Final = 600.0

DECLARATION: Final = Declaration(
    provider="lanmao",
    statements=True,
    scenes=CUSTODY_SCENES,
    terms={
        Product.PAYMENT: Terms(POLL_GAPS_S, NOT_FOUND, ANSWER_TIMEOUT_S),
        Product.REDIRECT: Terms(REDIRECT_POLL_GAPS_S, NOT_FOUND, ANSWER_TIMEOUT_S),
    },
    carries=Carries(banks=frozenset({*BANKS, ANY_BANK})),
    identity=frozenset({"platform_no"}),
    assumptions=(
        Assumption(
            "key_of_its_own",
            "The bank signs what it tells this platform with a key that it uses for no other platform: neither a "
            "notice nor an answer names in its signed part whom it is for.",
        ),
        Assumption(
            "failed_calls_charge_nothing",
            "DIRECT_RECHARGE answered with code 1 has charged nothing and never will, unless its errorCode says that "
            "the requestNo was used before; the account names that code (number_used).",
            frozenset({Pay}),
        ),
        Assumption(
            "fail_is_final",
            "After rechargeStatus FAIL nobody can pay the same requestNo any more, not on the page that is still open "
            "either.",
            frozenset({Redirect}),
        ),
        Assumption(
            "checkfile_columns",
            "The file RECHARGE of the bank's check files is UTF-8 without a header, with 15 columns parted by | : time "
            "(yyyyMMddHHmmss), member, pay company, requestNo, the bank's number, operation, amount in yuan, currency, "
            "initiator, platform, account, bank, rechargeWay, amount booked, remark; it has what was paid, all of it "
            "and nothing else, under the day on which it was paid.",
            statements=True,
        ),
    ),
    codeless_scenes=CUSTODY_SCENES,
    redirects=RedirectRules(ends_at_expiry=False, grace_s=GRACE_S),
)
