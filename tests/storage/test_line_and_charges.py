"""Some hundred withholds in line on a channel of 20 calls a second, while charges go on; the clock is moved.

The same scene as `python -m benchmarks.waiting`, which has 20,000 of them and measures how long charges take.
"""

from benchmarks.waiting import PER_SECOND, SEND_WITHIN_S, Plan, scene
from benchmarks.waiting_world import BESIDE, LINE
from tests.databases import Server, own_url


async def test_a_long_line_is_sent_in_time_and_charges_go_on_as_if_there_were_none(
    postgres: Server, template: str
) -> None:
    plan = Plan(withholds=200, hand_in_s=5.0, seconds=25.0, charges_per_second=2.0)
    async with own_url(postgres, template) as url:
        seen, _ = await scene(url, plan)
    assert (seen.sent, seen.never_sent) == (200, 0)
    assert seen.last_sent_s < SEND_WITHIN_S
    assert seen.most_in_a_second <= PER_SECOND
    assert seen.by_age >= 0.99
    # Only in the moment in which they are handed in, before there is a line.
    assert seen.refused[LINE] <= 0.05 * seen.charges[LINE]
    assert seen.refused[BESIDE] == 0
    assert seen.seconds < 90
