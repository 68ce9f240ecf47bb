"""Ids, money, failures and the catalogue's lookups.

Not tested here: how objects are shown (tests/unit/objects), masks and BINs (test_cards), states (test_statuses),
reading a catalogue file.
"""

import hashlib
from dataclasses import replace
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.catalogue import ANY_BANK, AuthenticationMode, Catalogue, MaintenanceWindow
from gateway.domain.events import ANOMALY_OF, EVENTS_OF, EventType
from gateway.domain.failures import MEANINGS, Advice, Blame, FailureCode, as_told, failure
from gateway.domain.hearing import AnomalyKind
from gateway.domain.ids import (
    CARD,
    EVENT,
    PAYMENT,
    IdError,
    ObjectKind,
    caused_id,
    number_of,
    object_of_number,
    read,
    read_object,
    show,
    show_object,
)
from gateway.domain.money import yuan
from gateway.domain.scenes import SCENES_OF, Kind, Scene
from gateway.domain.statuses import FINAL, TRANSITIONS, Status
from gateway.flows.route import Payer, candidates_for
from tests.unit.domain.samples import (
    ATTEMPT_ID,
    BANK,
    MERCHANT_ID,
    NOW,
    PAYMENT_ID,
    catalogue,
    channel,
    endpoint,
    later,
    rule,
)

IDS = (PAYMENT_ID, ATTEMPT_ID, UUID(int=0), UUID(int=2**128 - 1))

# --- ids and money ---


@given(st.uuids())
def test_an_id_reads_as_what_was_shown(value: UUID) -> None:
    assert read(PAYMENT, show(PAYMENT, value)) == value
    assert object_of_number(number_of(value)) == value


@pytest.mark.parametrize("text", ["", "pay_", "pay_1", "pay_!!", show(EVENT, PAYMENT_ID), str(PAYMENT_ID), "支付"])
def test_what_is_not_an_id_of_the_kind_is_refused(text: str) -> None:
    with pytest.raises(IdError):
        read(PAYMENT, text)


@pytest.mark.parametrize("kind", list(ObjectKind))
def test_an_objects_id_tells_its_kind(kind: ObjectKind) -> None:
    assert read_object(show_object(kind, PAYMENT_ID)) == (kind, PAYMENT_ID)


@pytest.mark.parametrize("text", ["", "pay", "pay_1", show(EVENT, PAYMENT_ID), show(CARD, PAYMENT_ID), str(PAYMENT_ID)])
def test_what_is_not_the_id_of_an_object_is_refused(text: str) -> None:
    with pytest.raises(IdError):
        read_object(text)


@given(st.uuids(), st.uuids(), st.sampled_from([*Status, *AnomalyKind]))
def test_what_an_observation_causes_has_an_id_of_version_7_with_its_time(heard: UUID, about: UUID, what: str) -> None:
    made = caused_id(heard, about, what)
    assert (made.version, made.variant) == (7, RFC_4122)
    assert made.bytes[:6] == heard.bytes[:6]
    assert made == caused_id(heard, about, what)


def test_one_observation_causes_several_things_each_with_an_id_of_its_own() -> None:
    causes = [(heard, about, what) for heard in IDS for about in IDS for what in (*Status, *AnomalyKind)]
    assert len({caused_id(*cause) for cause in causes}) == len(causes)


def test_an_id_of_what_is_caused_is_the_digests_first_74_bits() -> None:
    # Written out: rows that are in the books must be found again by every later version.
    made = caused_id(PAYMENT_ID, ATTEMPT_ID, "succeeded")
    digest = hashlib.sha256(PAYMENT_ID.bytes + ATTEMPT_ID.bytes + b"succeeded").digest()
    bits = f"{int.from_bytes(digest):0256b}"[:74]
    assert f"{made.int:0128b}" == f"{PAYMENT_ID.int:0128b}"[:48] + "0111" + bits[:12] + "10" + bits[12:]


def test_an_orders_number_is_32_hex_digits() -> None:
    assert number_of(PAYMENT_ID) == "01890a5dac96774bbcceb302099a8057"


@pytest.mark.parametrize("number", ["", "1", "x" * 32, "{01890a5d-ac96-774b-bcce-b302099}", "0" * 33])
def test_a_number_that_cannot_be_ours_names_no_object(number: str) -> None:
    assert object_of_number(number) is None


@pytest.mark.parametrize(("fen", "shown"), [(0, "0.00"), (5, "0.05"), (128800, "1288.00"), (-101, "-1.01")])
def test_fen_are_written_as_yuan(fen: int, shown: str) -> None:
    assert yuan(fen) == shown


def test_every_scene_belongs_to_one_kind() -> None:
    assert sorted(scene for scenes in SCENES_OF.values() for scene in scenes) == sorted(Scene)


# --- failures and events ---


def test_every_failure_code_has_a_meaning_in_both_languages() -> None:
    assert MEANINGS.keys() == set(FailureCode)
    assert all(meaning.en and meaning.zh for meaning in MEANINGS.values())


def test_a_known_blame_wins_over_the_codes_own() -> None:
    assert failure(FailureCode.AUTHENTICATION_REJECTED).blame is Blame.PAYER
    assert failure(FailureCode.AUTHENTICATION_REJECTED, blame=Blame.CHANNEL).blame is Blame.CHANNEL


@pytest.mark.parametrize(
    ("kind", "code", "advice"),
    [
        (Kind.CHARGE, FailureCode.INSUFFICIENT_BALANCE, Advice.CHANGE_CARD),
        (Kind.WITHHOLD, FailureCode.INSUFFICIENT_BALANCE, Advice.RETRY_LATER),
        (Kind.CHARGE, FailureCode.CARD_LOST, Advice.CHANGE_CARD),
        (Kind.WITHHOLD, FailureCode.CARD_LOST, Advice.CHANGE_CARD),
    ],
)
def test_nobody_is_there_to_take_another_card_for_a_withhold(kind: Kind, code: FailureCode, advice: Advice) -> None:
    why = failure(code, channel_code="51")
    assert as_told(why, kind, Scene.WITHHOLD) == replace(why, advice=advice)


@pytest.mark.parametrize("kind", ObjectKind)
def test_the_beginning_of_processing_is_not_told(kind: ObjectKind) -> None:
    assert Status.PROCESSING not in EVENTS_OF[kind]


@pytest.mark.parametrize("kind", [ObjectKind.PAYMENT, ObjectKind.REFUND, ObjectKind.PAYOUT])
def test_every_end_of_what_an_app_asked_for_is_told_by_its_name(kind: ObjectKind) -> None:
    told = EVENTS_OF[kind]
    assert FINAL & {status for status in TRANSITIONS[kind] if status} <= told.keys()
    assert all(event_type == f"{kind}.{status}" for status, event_type in told.items())
    assert ANOMALY_OF[kind] == f"{kind}.anomaly"


def test_of_a_recorded_route_only_its_anomalies_are_told() -> None:
    assert EVENTS_OF[ObjectKind.ROUTE] == {}
    assert ANOMALY_OF[ObjectKind.ROUTE] == "route.anomaly"


def test_an_authentication_has_no_anomaly() -> None:
    assert ObjectKind.AUTHENTICATION not in ANOMALY_OF


def test_every_type_of_event_is_sent_of_some_object() -> None:
    sent = [event_type for told in EVENTS_OF.values() for event_type in told.values()] + [*ANOMALY_OF.values()]
    sent += [EventType.CHANNEL_DEGRADED, EventType.CHANNEL_RESTORED]  # by who watches it: it has no status
    sent += [EventType.ALERT_RAISED, EventType.ALERT_CLEARED]
    sent += [EventType.RECONCILIATION_FINISHED, EventType.RECONCILIATION_DIFFERENCE_FOUND]  # of an account's day
    assert sorted(sent) == sorted(EventType)


# --- the catalogue ---


def test_rules_are_found_by_scene_and_bank() -> None:
    known = catalogue((channel("up"), channel("tl")), (rule("up"), rule("tl"), rule("up", bank="ABC")))
    assert {r.channel for r in known.rules_for(MERCHANT_ID, Scene.WITHHOLD, BANK)} == {"up", "tl"}
    assert [r.channel for r in known.rules_for(MERCHANT_ID, Scene.WITHHOLD, "ABC")] == ["up"]
    assert known.rules_for(MERCHANT_ID, Scene.QUICK_CHARGE, BANK) == []
    assert known.rules_for(UUID(int=0xB), Scene.WITHHOLD, BANK) == []


@pytest.mark.parametrize(("second", "closed"), [(-1, False), (0, True), (59, True), (60, False)])
def test_a_maintenance_window_includes_its_start_and_not_its_end(second: int, closed: bool) -> None:
    window = MaintenanceWindow(MERCHANT_ID, UUID(int=1), "up", NOW, later(seconds=60))
    known = Catalogue(1, windows=(window,))
    assert known.in_maintenance(MERCHANT_ID, "up", Scene.WITHHOLD, "ICBC", later(seconds=second)) == closed
    assert not known.in_maintenance(MERCHANT_ID, "tl", Scene.WITHHOLD, "ICBC", NOW)


def test_a_window_of_some_banks_and_scenes_hides_the_channel_from_these_alone() -> None:
    of_some = {"banks": ("ABC",), "scenes": (Scene.WITHHOLD,)}
    window = MaintenanceWindow(MERCHANT_ID, UUID(int=1), "up", NOW, later(seconds=60), **of_some)  # type: ignore[arg-type]
    scenes = (Scene.WITHHOLD, Scene.QUICK_CHARGE)
    rules = [rule("up", bank=bank, scene=scene) for bank in ("ABC", BANK) for scene in scenes]
    known = Catalogue(1, channels=(channel("up"),), windows=(window,), rules=tuple(rules))
    hidden = {
        (scene, bank)
        for scene in scenes
        for bank in ("ABC", BANK)
        for candidate in candidates_for(known, MERCHANT_ID, scene, bank, Payer(), NOW)
        if candidate.in_maintenance
    }
    assert hidden == {(Scene.WITHHOLD, "ABC")}
    assert not known.rests(MERCHANT_ID, "up", NOW)


def test_a_channel_authenticates_a_bank_by_its_own_mode_or_that_of_any_bank() -> None:
    modes = {BANK: AuthenticationMode.SILENT, ANY_BANK: AuthenticationMode.NONE}
    assert channel("up", authentication=modes).mode(BANK) is AuthenticationMode.SILENT
    assert channel("up", authentication=modes).mode("ABC") is AuthenticationMode.NONE
    assert channel("up", authentication={BANK: AuthenticationMode.SILENT}).mode("ABC") is None


def test_an_event_goes_to_its_apps_endpoint_and_to_the_merchants_that_want_its_type() -> None:
    types = frozenset({"payment.failed"})
    endpoints = (
        endpoint(1, "shop"),
        endpoint(2, "other"),
        endpoint(3, None, types),
        endpoint(4, None),
        endpoint(5, "shop", stopped=True),
        endpoint(6, "shop", types),
        replace(endpoint(7, "shop", stopped=True), removed=True),
    )
    known = catalogue((), (), endpoints)

    def to(app: str | None, event_type: str) -> list[int]:
        return [e.endpoint_id.int for e in known.endpoints_for(MERCHANT_ID, app, event_type)]

    assert to("shop", "payment.succeeded") == [1, 4, 5]
    assert to("shop", "payment.failed") == [1, 3, 4, 5, 6]
    assert to(None, "channel.degraded") == [4]
    assert known.endpoints_for(UUID(int=0xB), "shop", "payment.failed") == []


def test_totals_are_read_only_where_a_limit_asks_for_them() -> None:
    assert not catalogue((channel("up"),), (rule("up"),)).has_totals(MERCHANT_ID)
    assert catalogue((channel("up", daily_total=1),), (rule("up"),)).has_totals(MERCHANT_ID)
    assert catalogue((channel("up"),), (rule("up", card_daily_limit=1),)).has_totals(MERCHANT_ID)


def test_a_callbacks_account_is_named_by_merchant_and_account() -> None:
    known = catalogue((channel("up"),), ())
    found = known.account_of_callback("acme.up-1")
    assert found is not None
    assert found.code == "up-1"
    for name in ("", "acme", "acme.", "acme.tl-1", "other.up-1", ".up-1"):
        assert known.account_of_callback(name) is None
