"""Looks at a history and says what must not be. It shares no rule with the gateway: each is written here again."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.simulation.check_checkouts import (
    a_checkout_ends_as_its_tries_do,
    one_try_of_a_checkout_is_paid,
    tries_come_one_after_the_other,
)
from tests.simulation.check_corrections import late_money_goes_one_way, what_takes_money_as_paid_is_told_once
from tests.simulation.check_money import (
    a_page_is_opened_with_the_same_form,
    nothing_fails_without_proof,
    nothing_is_submitted_twice,
    one_effective_charge,
    one_effective_refund,
)
from tests.simulation.check_payouts import (
    no_more_leaves_a_payment_than_came_in,
    nobody_else_ends_a_hold,
    one_effective_payout,
    payouts_take_of_their_day_what_they_are,
    settles_count_while_their_payout_does,
    the_doctor_finds_nothing,
    what_came_back_is_known,
)
from tests.simulation.check_routes import (
    a_route_is_what_its_app_said,
    each_oddity_of_a_route_is_told_once,
    no_route_is_sent,
)
from tests.simulation.check_states import (
    a_card_is_asked_for_once,
    codes_come_from_one_channel,
    everything_comes_to_an_end,
    no_final_state_changes,
    no_limit_is_passed,
    nothing_is_offered_beyond_its_time,
    objects_agree_with_what_was_sent,
    the_last_attempt_is_the_last,
    the_same_number_is_the_same_order,
    usage_is_what_is_open_and_what_succeeded,
    what_is_bound_is_known,
    what_is_given_up_ends,
)
from tests.simulation.check_telling import (
    every_psp_is_heard,
    everybody_is_told,
    one_event_for_each_end,
)
from tests.simulation.history import History
from tests.simulation.rules import OPEN, Rules

__all__ = ["Found", "Rules", "check"]


@dataclass(slots=True)
class Found:
    """What a check found: sentences of what must not be, and how much stays open for want of any question."""

    wrong: list[str] = field(default_factory=list)
    open: int = 0


def check(history: History, rules: Rules) -> Found:
    """Everything that is wrong in a history."""
    found = Found()
    for one in CHECKS:
        found.wrong += one(history, rules)
    found.open = sum(row["status"] in OPEN for row in [*history.payments, *history.refunds, *history.payouts])
    return found


CHECKS: Final[tuple[Callable[[History, Rules], Iterator[str]], ...]] = (
    nothing_is_submitted_twice,
    one_effective_charge,
    one_effective_refund,
    late_money_goes_one_way,
    what_takes_money_as_paid_is_told_once,
    one_effective_payout,
    what_came_back_is_known,
    no_more_leaves_a_payment_than_came_in,
    settles_count_while_their_payout_does,
    payouts_take_of_their_day_what_they_are,
    nobody_else_ends_a_hold,
    the_doctor_finds_nothing,
    a_page_is_opened_with_the_same_form,
    nothing_fails_without_proof,
    no_final_state_changes,
    everything_comes_to_an_end,
    the_same_number_is_the_same_order,
    objects_agree_with_what_was_sent,
    usage_is_what_is_open_and_what_succeeded,
    the_last_attempt_is_the_last,
    no_limit_is_passed,
    nothing_is_offered_beyond_its_time,
    one_event_for_each_end,
    everybody_is_told,
    every_psp_is_heard,
    a_card_is_asked_for_once,
    codes_come_from_one_channel,
    what_is_bound_is_known,
    what_is_given_up_ends,
    a_route_is_what_its_app_said,
    no_route_is_sent,
    each_oddity_of_a_route_is_told_once,
    one_try_of_a_checkout_is_paid,
    tries_come_one_after_the_other,
    a_checkout_ends_as_its_tries_do,
)
