"""Where the suite has processes die: nothing is left out. No process is started here."""

from tests.simulation import points
from tests.simulation.flows import SCRIPTS

FLOWS = {
    "a payment": ["COMMIT of payments", "pay to a is sent", "a notification is sent", "answer 201 to POST /v1/charges"],
    "another": ["COMMIT of payments", "pay to a is sent", "ask to a is sent", "pay to a is sent"],
    "a third": ["COMMIT of payments", "pay to a is sent"],
    "a fourth": ["COMMIT of payments", "pay to a is sent"],
    "a fifth": ["COMMIT of payments", "pay to a is sent"],
    "a sixth": ["COMMIT of payments", "pay to a is sent"],
}


def test_each_kind_of_action_has_a_death_before_and_after_it_and_an_answer_one_before_it() -> None:
    chosen = [death for deaths in points.choose(FLOWS, races=FLOWS).values() for death in deaths]
    for action in {action for actions in FLOWS.values() for action in actions}:
        sides = [side for at, side in chosen if at == action]
        assert set(sides) == ({"before"} if action.startswith("answer") else {"before", "after"})


def test_a_question_is_of_one_kind_whoever_is_asked_and_so_is_what_was_not_sent_so_far() -> None:
    asks = {f"a payment at {psp}": [f"ask_payment to {psp} is sent", f"pay to {psp} is sent"] for psp in "ab"}
    chosen = [(str(at), side) for deaths in points.choose(asks).values() for at, side in deaths]
    assert sum(at.startswith("ask_payment") for at, _ in chosen) == 2
    assert [side for at, side in chosen if at.startswith("pay")].count("after") == 2
    assert [side for at, side in chosen if at.startswith("pay")].count("before") == 1


def test_to_die_before_the_next_action_is_to_die_after_a_commit_unless_things_run_beside_each_other() -> None:
    def chosen(actions: list[str], *races: str) -> set[points.Death]:
        return set(points.choose({"a flow": actions}, races)["a flow"])

    commit, sent, answer = "COMMIT of payments", "pay to a is sent", "answer 201 to POST /v1/charges"
    assert chosen([commit, sent, answer]) == {(commit, "before"), (sent, "before"), (sent, "after"), (answer, "before")}
    assert (commit, "after") in chosen([commit, sent, answer], "a flow")
    assert (commit, "after") in chosen([sent, commit, sent])  # whoever dies before it dies before the first


def test_each_flow_has_a_point_which_is_an_action_of_its_own() -> None:
    for flow, deaths in points.choose(FLOWS).items():
        assert deaths
        assert all(action in FLOWS[flow] for action, _ in deaths)


def test_of_each_kind_of_request_the_first_process_dies_after_it_and_another_soon_after() -> None:
    pairs = points.pairs_of(FLOWS["another"])
    assert pairs == [
        [("pay to a is sent", "after"), (1, "before")],
        [("ask to a is sent", "after"), (2, "before")],
    ]


def test_where_nothing_is_sent_the_first_process_dies_after_what_it_does_first() -> None:
    assert points.pairs_of(["COMMIT of routes", "answer 201 to POST /v1/routes"]) == [
        [("COMMIT of routes", "after"), (1, "before")]
    ]


def test_the_points_that_are_written_down_are_of_the_flows_that_there_are() -> None:
    written = points.read()
    assert list(written) == [script.name for script in SCRIPTS]
    assert all(written.values())
    deaths = [death for of_flow in written.values() for death in of_flow]
    assert {side for _, side in deaths} == set(points.SIDES)
