"""What YeePay's commands do not say by themselves: terms, banks, expiry, and what no public source says for sure."""

from typing import Final

from adapters.yeepay.codes import ANY_BANK, BANKS
from adapters.yeepay.form import MAX_NOTIFY_URL
from gateway.domain.carrying import Carries
from gateway.domain.redirects import RedirectRules
from gateway.domain.scenes import Scene
from gateway.domain.terms import Product, Terms, Watch
from gateway.ports import Assumption, Cancel, Declaration

__all__ = ["DECLARATION"]

# No source says how often to ask. The payer is at the bank for minutes, and a notice comes when it is paid.
POLL_GAPS_S: Final = (15.0, 30.0, 60.0, 120.0, 300.0)
# Banks take days, and no notice tells of it.
REFUND_POLL_GAPS_S: Final = (10.0, 60.0, 300.0, 1800.0, 3600.0)
# How late a bank may still return a refund (4) is not public: a month, once a day after the first, is our choice.
REFUND_WATCH: Final = Watch(gaps_s=(6 * 3600.0, 18 * 3600.0, 24 * 3600.0), for_s=30 * 24 * 3600.0)
ANSWER_TIMEOUT_S: Final = 30.0
GRACE_S: Final = 300.0
"""The bank may need a little to tell YeePay what it took."""

DECLARATION: Final = Declaration(
    provider="yeepay",
    scenes=frozenset({Scene.NETBANK_CHARGE}),
    # "No such order" (50) is told of every form that nobody has opened: it proves nothing before expiry and grace.
    terms={
        Product.REDIRECT: Terms(POLL_GAPS_S, None, ANSWER_TIMEOUT_S),
        # Nor does "no such refund" (-3): how soon one is found is not public.
        Product.REFUND: Terms(REFUND_POLL_GAPS_S, None, ANSWER_TIMEOUT_S, watch=REFUND_WATCH),
    },
    carries=Carries(banks=frozenset({*BANKS, ANY_BANK})),
    identity=frozenset({"mer_id"}),
    assumptions=(
        Assumption(
            "cancelled_stays_unpaid",
            "An order that CancelOrd answered with 1 is never paid afterwards, not by a bank's page that is still open "
            "either.",
            frozenset({Cancel}),
        ),
    ),
    redirects=RedirectRules(ends_at_expiry=True, grace_s=GRACE_S, lives_from_opening=True),
    callback_url_chars=MAX_NOTIFY_URL,
)
