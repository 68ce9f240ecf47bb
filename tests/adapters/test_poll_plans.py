"""What stays unknown is asked about soon, and by the hour for a day, wherever the provider lets us.

Not tested here: what is asked after an end without the PSP's word (tests/unit/domain/test_hearing.py).
"""

from itertools import accumulate, chain, repeat, takewhile

import pytest

from adapters.registry import PROVIDERS
from gateway.domain.terms import Product, Terms

DAY_S = 24 * 3600.0
BY_S = [60.0, 300.0, 900.0, *(hour * 3600.0 for hour in range(1, 25))]
"""After so long without a word, one question more has been asked."""

ASKED_LATER = {
    ("allinpay", Product.PAYMENT): '"query about 5 min later, repeatedly" (H)',
    ("allinpay", Product.PAYOUT): '"query about 5 min later, repeatedly" (H)',
    ("allinpay", Product.REFUND): '"query about 5 min later, repeatedly" (H)',
    ("lianlian", Product.REFUND): '"15 minutes after" it was asked for (H)',
    ("unionpay", Product.PAYOUT): "the demo asks first after 3 minutes (H)",
    ("unionpay", Product.REDIRECT): "5, 10, 30, 60 and 120 minutes are advised (H), and 37 punishes more",
}
"""Where the provider's own word forbids it."""
NEVER_ASKED = {
    ("allinpay", Product.AUTHENTICATION): "its question is not public",
    ("lianlian", Product.AUTHENTICATION): "it is in no question's signature",
}
EVERY = [
    pytest.param(name, product, id=f"{name}-{product}")
    for name, adapter in PROVIDERS.items()
    for product in adapter.DECLARATION.terms
]


def is_in_time(terms: Terms) -> bool:
    """Whether every time of the plan has a question of its own before it, and none waits longer than an hour."""
    gaps = chain(terms.poll_gaps_s, repeat(terms.poll_gaps_s[-1]))
    asked = [*takewhile(lambda at: at <= DAY_S, accumulate(gaps))]
    return all(sum(at <= by for at in asked) >= number for number, by in enumerate(BY_S, 1)) and all(
        gap <= 3600.0 for gap in terms.poll_gaps_s
    )


@pytest.mark.parametrize(("name", "product"), EVERY)
def test_what_is_unknown_is_asked_about_after_1_5_15_and_60_minutes_and_then_by_the_hour(
    name: str, product: Product
) -> None:
    terms = PROVIDERS[name].DECLARATION.terms[product]
    if (name, product) not in NEVER_ASKED:
        assert is_in_time(terms) is ((name, product) not in ASKED_LATER), (
            "a plan that is in time needs no excuse, and another one needs one"
        )


@pytest.mark.parametrize(("name", "product"), EVERY)
def test_what_is_asked_later_is_asked_by_the_hour_all_the_same(name: str, product: Product) -> None:
    if (name, product) != ("unionpay", Product.REDIRECT):
        assert PROVIDERS[name].DECLARATION.terms[product].poll_gaps_s[-1] <= 3600.0


@pytest.mark.parametrize(("name", "product"), EVERY)
def test_after_an_end_each_is_asked_as_often_as_its_protocol_bears(name: str, product: Product) -> None:
    looks = PROVIDERS[name].DECLARATION.terms[product].late_looks
    if (name, product) in NEVER_ASKED:
        assert looks == 0
    else:
        assert looks == (3 if name == "unionpay" else 28)
