"""How much room each endpoint and merchant has among the deliveries in hand. Sending is in test_deliver."""

from uuid import UUID

from gateway.workers.lanes import ROOM, ROOM_PER_ENDPOINT, ROOM_UNANSWERED, SENDS_PER_ENDPOINT, Lanes

MERCHANT, OTHER = UUID(int=0xA), UUID(int=0xB)


def ep(number: int) -> UUID:
    return UUID(int=number)


def fill(lanes: Lanes, merchant_id: UUID, endpoint_id: UUID) -> None:
    while lanes.has_room(merchant_id, endpoint_id):
        lanes.enter(merchant_id, endpoint_id)


def test_one_endpoint_has_its_own_room_and_no_more() -> None:
    lanes = Lanes()
    fill(lanes, MERCHANT, ep(1))
    assert lanes.in_hand == ROOM_PER_ENDPOINT
    assert lanes.rooms(MERCHANT, [ep(1), ep(2)], 1000) == {ep(2): ROOM_PER_ENDPOINT}


def test_what_is_claimed_is_at_most_the_share() -> None:
    assert Lanes().rooms(MERCHANT, [ep(1), ep(2)], 5) == {ep(1): 5, ep(2): 5}


def test_an_endpoint_that_does_not_answer_is_claimed_little_for() -> None:
    lanes = Lanes()
    lanes.enter(MERCHANT, ep(1)).unanswered = True
    assert lanes.rooms(MERCHANT, [ep(1)], 1000) == {ep(1): ROOM_UNANSWERED - 1}


def test_that_it_does_not_answer_is_remembered_while_nothing_of_it_is_in_hand() -> None:
    lanes = Lanes()
    lane = lanes.enter(MERCHANT, ep(1))
    lane.unanswered = True
    lanes.leave(MERCHANT, ep(1), lane)
    assert lanes.rooms(MERCHANT, [ep(1)], 1000) == {ep(1): ROOM_UNANSWERED}


def test_a_merchant_with_many_slow_endpoints_leaves_room_to_others_and_to_its_own() -> None:
    lanes = Lanes()
    for number in range(100, 200):
        fill(lanes, MERCHANT, ep(number))
    assert lanes.room_of(MERCHANT) == 0
    assert lanes.room_of(OTHER) >= ROOM // 4
    assert lanes.rooms(MERCHANT, [ep(1), ep(2)], 1000) == {ep(1): SENDS_PER_ENDPOINT, ep(2): SENDS_PER_ENDPOINT}
    fill(lanes, MERCHANT, ep(1))
    assert lanes.rooms(OTHER, [ep(3)], 1000) == {ep(3): ROOM_PER_ENDPOINT}


def test_no_endpoint_is_shut_out_when_all_room_is_taken() -> None:
    lanes = Lanes()
    for merchant in range(1, 40):
        for number in range(40):
            fill(lanes, UUID(int=merchant), ep(1000 * merchant + number))
    last = UUID(int=999)
    assert lanes.rooms(last, [ep(1)], 1000) == {ep(1): SENDS_PER_ENDPOINT}
    assert lanes.has_room(last, ep(1))


def test_what_leaves_makes_room_again() -> None:
    lanes = Lanes()
    held = [lanes.enter(MERCHANT, ep(1)) for _ in range(ROOM_PER_ENDPOINT)]
    for lane in held:
        lanes.leave(MERCHANT, ep(1), lane)
    assert (lanes.in_hand, len(lanes), lanes.room_of(MERCHANT)) == (0, 0, ROOM)
