"""The sentences a person reads when they ask why a payment took its channel.

Not tested here: that every possible decision has its sentences (test_against_naive).
"""

import pytest

from router import ChannelFacts, Decision, explain
from tests.unit.router.cases import CHANNEL_FAILED, PAYER_FAILED, SUCCEEDED, UNBLAMED_FAILURE, last, route, rule

ALLINPAY, UNIONPAY = rule("allinpay", 100), rule("unionpay", 120)
RANKED = "Step 6: ranked by fee: allinpay 1.00 yuan, unionpay 1.20 yuan."


@pytest.mark.parametrize(
    ("decision", "sentences"),
    [
        (
            route(ALLINPAY, UNIONPAY),
            [RANKED, "Step 7: allinpay is chosen, the user has no earlier attempt there that counts."],
        ),
        (
            route(ALLINPAY, UNIONPAY, allinpay=last(SUCCEEDED)),
            [RANKED, "Step 7: allinpay is chosen, the user last succeeded there."],
        ),
        (
            route(ALLINPAY, UNIONPAY, allinpay=last(PAYER_FAILED)),
            [RANKED, "Step 8: allinpay is chosen, the user's last attempt there failed, but by the payer's fault."],
        ),
        (
            route(ALLINPAY, UNIONPAY, allinpay=last(CHANNEL_FAILED)),
            [
                RANKED,
                (
                    "Step 9: unionpay is chosen instead of allinpay, the user's last attempt on allinpay failed "
                    "(blame: channel)."
                ),
            ],
        ),
        (
            route(ALLINPAY, UNIONPAY, allinpay=last(CHANNEL_FAILED), unionpay=last(UNBLAMED_FAILURE)),
            [
                RANKED,
                (
                    "Step 9: allinpay is chosen, the user's last attempt on allinpay failed (blame: channel), "
                    "and so did the one on unionpay (blame unknown)."
                ),
            ],
        ),
        (
            route(ALLINPAY, rule("unionpay", single_limit=9_99), rule("yeepay", in_maintenance=True)),
            [
                "Step 1: left out yeepay, the channel is in maintenance.",
                (
                    "Step 5: allinpay is chosen, it is the only one left; its fee is 1.00 yuan. "
                    "unionpay takes at most 9.99 yuan at once."
                ),
            ],
        ),
        (
            route(
                rule("a", daily_limit=1500),
                rule("b", daily_insufficient_limit=1),
                rule("c", channel_daily_total=1500),
                rule("d", card_daily_limit=1500),
                a=ChannelFacts(used_today=600),
                b=ChannelFacts(insufficient_today=1),
                c=ChannelFacts(channel_used_today=600),
                d=ChannelFacts(card_used_today=600),
            ),
            [
                (
                    "Step 5: refused, each channel is over a limit of its own. "
                    "a takes at most 15.00 yuan a day, of which 6.00 yuan are used; "
                    "b has 1 of 1 failures for insufficient balance that are allowed a day; "
                    "c takes at most 15.00 yuan a day from all users, of which 6.00 yuan are used; "
                    "d takes at most 15.00 yuan a day from this card, of which 6.00 yuan are used."
                )
            ],
        ),
        (
            route(rule("a", card_single_limit=500, card_daily_limit=5000)),
            [
                (
                    "Step 4: refused, every available channel is over the same limit. a takes at most 5.00 yuan at "
                    "once from a card and takes at most 50.00 yuan a day from this card, of which 0.00 yuan are used."
                )
            ],
        ),
        (
            route(rule("a", single_limit=500), rule("b", single_limit=700)),
            [
                "Step 2: refused, 10.00 yuan is above the largest single limit of any available channel, 7.00 yuan.",
            ],
        ),
        (
            route(rule("a", daily_limit=500)),
            [
                (
                    "Step 3: refused, every available channel is over the same limit. "
                    "a takes at most 5.00 yuan a day, of which 0.00 yuan are used."
                )
            ],
        ),
        (
            route(rule("a", signing="needs_signing"), rule("b", enabled=False)),
            [
                (
                    "Step 1: refused, the card has to be signed first. Left out a, the card is not signed there "
                    "and cannot be signed there now; b, its rule is disabled."
                )
            ],
        ),
        (
            route(rule("a", full=True), rule("b", account_usable=False)),
            [
                (
                    "Step 1: refused, what is left is full just now. Left out a, it carries as many calls as it can; "
                    "b, the settings of its account cannot be used."
                )
            ],
        ),
        (
            route(rule("a", signing="signing_in_progress"), rule("b", signing="needs_signing")),
            [
                (
                    "Step 1: refused, the card is just being signed. Left out a, the card is just being signed by "
                    "another payment; b, the card is not signed there and cannot be signed there now."
                )
            ],
        ),
        (
            route(rule("a", channel_on=False)),
            ["Step 1: refused, no channel is available. Left out a, the channel is switched off."],
        ),
        (route(), ["Step 1: refused, no channel has a rule for withhold with bank ICBC."]),
    ],
)
def test_a_decision_is_told_step_by_step(decision: Decision, sentences: list[str]) -> None:
    assert explain(decision) == sentences
