"""Each field of a request: what it may be, what it may not, and that a refusal names it and repeats nothing.

Not tested here: HTTP (tests/api), that a card or a bank can be found (tests/api).
"""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from pydantic import BaseModel
from stdnum import luhn

from gateway.api.admin.anomalies import ResolutionRequest
from gateway.api.admin.windows import NewWindow
from gateway.api.app.payments import ChargeRequest, PaymentSearch, WithholdRequest
from gateway.api.app.refunds import RefundRequest
from gateway.api.app.requests import PaymentRequest
from gateway.api.app.routes import RouteQuestion
from gateway.api.http.problems import Problem
from gateway.api.http.reading_json import checked, checked_query, read_object
from gateway.domain.money import MAX_AMOUNT
from gateway.domain.scenes import CARD_SCENES, SCENES_OF, Kind, Scene

CARD_NO = "622202000000000000" + luhn.calc_check_digit("622202000000000000")
CARD = {"card_no": CARD_NO, "holder_name": "张三", "id_no": "110101199003077774", "phone": "13800000000"}
ORDER: dict[str, Any] = {
    "merchant_order_no": "A-1",
    "scene": "withhold",
    "user_id": "u1",
    "amount": 10_000,
    "currency": "CNY",
    "card": CARD,
}
REFUND = {"merchant_order_no": "R-1", "payment": "pay_01h2xcejqtf2nbrexx3vqjhp41", "amount": 1}
WINDOW = {"starts_at": "2026-01-01T00:00:00Z", "ends_at": "2026-01-02T00:00:00Z"}
SECRETS = [CARD_NO, "张三", "110101199003077774", "13800000000"]


def withhold(**changes: object) -> WithholdRequest:
    body = {name: value for name, value in (ORDER | changes).items() if value is not ...}
    return checked(WithholdRequest, read_object(orjson.dumps(body)))


def refused(model: type[BaseModel], body: dict[str, Any]) -> list[str]:
    with pytest.raises(Problem) as caught:
        checked(model, body)
    problem = caught.value
    assert (problem.status, problem.code) == (422, "invalid_request")
    assert all(error.message for error in problem.errors)
    told = f"{problem.detail}{problem.errors}"
    assert not [secret for secret in SECRETS if secret in told]
    return [error.field for error in problem.errors]


@pytest.mark.parametrize("field", ["merchant_order_no", "scene", "user_id", "amount", "currency", "card"])
def test_what_is_needed_is_missed(field: str) -> None:
    assert refused(WithholdRequest, {name: value for name, value in ORDER.items() if name != field}) == [field]


@pytest.mark.parametrize("field", ["merchant_order_no", "scene", "user_id", "amount", "currency"])
@pytest.mark.parametrize("value", [None, [], {}, True, 1.5])
def test_a_field_of_another_type_is_refused(field: str, value: object) -> None:
    assert refused(WithholdRequest, ORDER | {field: value}) == [field]


@pytest.mark.parametrize("amount", [0, -1, MAX_AMOUNT + 1, 2**63, "100", 100.0, float("inf"), "1e3", False])
def test_an_amount_is_a_positive_whole_number_of_fen(amount: object) -> None:
    assert refused(WithholdRequest, ORDER | {"amount": amount}) == ["amount"]


@pytest.mark.parametrize("digits", [20, 400, 5000])
def test_a_huge_number_is_refused_like_any_other(digits: int) -> None:
    body = orjson.dumps(ORDER).replace(b"10000", b"9" * digits)
    assert refused(WithholdRequest, read_object(body)) == ["amount"]


@pytest.mark.parametrize("amount", [1, MAX_AMOUNT])
def test_amounts_reach_to_their_limits(amount: int) -> None:
    assert withhold(amount=amount).amount == amount


@pytest.mark.parametrize("currency", ["USD", "cny", "", "CNY ", 156])
def test_the_currency_is_yuan(currency: object) -> None:
    assert refused(WithholdRequest, ORDER | {"currency": currency}) == ["currency"]


@pytest.mark.parametrize("number", ["", "a b", "a" * 65, "编号", "a\n", "a\x7f"])
def test_an_order_number_is_printable_ascii(number: str) -> None:
    assert refused(WithholdRequest, ORDER | {"merchant_order_no": number}) == ["merchant_order_no"]
    assert withhold(merchant_order_no="!" + "~" * 63).merchant_order_no


@pytest.mark.parametrize("user_id", ["", " u", "u ", "a" * 65, "a\nb", "a\u200bb", "\u202ea"])
def test_a_user_id_has_no_hidden_characters(user_id: str) -> None:
    assert refused(WithholdRequest, ORDER | {"user_id": user_id}) == ["user_id"]
    assert withhold(user_id="用户 7").user_id == "用户 7"


ODD = ["\u3164", "\u2028", "\u202e", "\u00a0", "\u115f", "\ue000", "\u0378", "\u2800", "\U000e0041", "\x1b"]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: f"{ord(odd):04x}")
def test_no_text_of_an_order_has_what_nobody_sees(odd: str) -> None:
    text = f"用{odd}户"
    assert refused(WithholdRequest, ORDER | {"user_id": text}) == ["user_id"]
    assert refused(WithholdRequest, ORDER | {"description": text}) == ["description"]
    assert refused(WithholdRequest, ORDER | {"metadata": {"k": text}}) == ["metadata"]
    assert refused(WithholdRequest, ORDER | {"metadata": {text: 1}}) == ["metadata"]
    assert refused(WithholdRequest, ORDER | {"return_url": f"https://h.example/{text}"}) == ["return_url"]
    assert refused(WithholdRequest, ORDER | {"merchant_order_no": f"a{odd}"}) == ["merchant_order_no"]
    assert refused(RefundRequest, REFUND | {"reason": text}) == ["reason"]
    assert refused(NewWindow, WINDOW | {"note": text}) == ["note"]
    assert refused(ResolutionRequest, {"by": "li", "note": text}) == ["note"]
    assert refused(ResolutionRequest, {"by": text, "note": "n"}) == ["by"]


def test_the_hidden_character_is_named_by_its_number() -> None:
    with pytest.raises(Problem) as caught:
        checked(WithholdRequest, ORDER | {"user_id": "a\u202eb"})
    (error,) = caught.value.errors
    assert (error.field, error.code, "U+202E" in error.message) == ("user_id", "text", True)


def test_texts_of_people_may_have_pictures_wide_blanks_and_other_languages() -> None:
    order = withhold(
        user_id="用户 7", description="❤\ufe0f 尾款\u3000三月", metadata={"备注": "一\n二 👨\u200d👩\u200d👧"}
    )
    assert (order.user_id, order.description) == ("用户 7", "❤\ufe0f 尾款\u3000三月")
    assert order.metadata == {"备注": "一\n二 👨\u200d👩\u200d👧"}


@pytest.mark.parametrize("odd", ["\u3164", "\u202e", "\u200b", "\u0378", "\ufe0f", "\x1b", "\n"])
def test_a_holder_has_no_hidden_characters(odd: str) -> None:
    assert refused(WithholdRequest, ORDER | {"card": CARD | {"holder_name": f"张{odd}三"}}) == ["card.holder_name"]


@pytest.mark.parametrize(
    "name", ["张\u3000三", "张\u00a0三", "买买提\u2022阿卜杜拉", "\ue863", "\U00031350", "O'Neil J."]
)
def test_a_holder_is_taken_as_banks_know_people(name: str) -> None:
    card = withhold(card=CARD | {"holder_name": name}).card
    assert card is not None
    assert card.holder_name == name


@pytest.mark.parametrize(
    "number",
    ["", "1" * 11, "1" * 20, CARD_NO + " ", " " + CARD_NO, "٦" + CARD_NO[1:], int(CARD_NO)],
)
def test_a_card_number_is_12_to_19_digits(number: object) -> None:
    assert refused(WithholdRequest, ORDER | {"card": CARD | {"card_no": number}}) == ["card.card_no"]


@pytest.mark.parametrize("number", ["60142800000000000", CARD_NO[:-1] + "1", "0" * 12, "1" * 19])
def test_a_check_digit_that_does_not_fit_is_no_reason_to_refuse_a_card(number: str) -> None:
    card = withhold(card=CARD | {"card_no": number}, bank="COMM").card
    assert card is not None
    assert card.card_no == number


@pytest.mark.parametrize(
    "number",
    [
        "110101199013077774",  # month 13
        "11010119900230777X",  # 30 February
        "110101901307777",  # the old form of 15 digits, month 13
        "11010190030777",
        "11010190030777X",
        "E12345678",  # a passport's, without its id_type
        "010101199003077774",
        "",
    ],
)
def test_an_id_number_has_a_birthday(number: str) -> None:
    assert refused(WithholdRequest, ORDER | {"card": CARD | {"id_no": number}}) == ["card.id_no"]


@pytest.mark.parametrize(
    "number",
    [
        "110101199003077775",
        "110101900307777",
        "810000199003077779",
        "830000199003077770",
        "１１０１０１１９９００３０７７７７４",
    ],
)
def test_an_id_card_of_old_or_with_another_last_digit_is_taken(number: str) -> None:
    assert withhold(card=CARD | {"id_no": number}).card


PAPERS = {
    "passport": "e12345678",
    "hk_macau_permit": "H01234567",
    "taiwan_permit": "00112233",
    "foreigner_permit": "ABC123456789012",
}


@pytest.mark.parametrize("id_type", PAPERS)
def test_other_papers_are_taken_by_their_id_type(id_type: str) -> None:
    card = withhold(card=CARD | {"id_type": id_type, "id_no": PAPERS[id_type]}).card
    assert card is not None
    assert (card.id_type, card.id_no) == (id_type, PAPERS[id_type].upper())
    for number in ("", "1234", "1" * 21, "E-123456", "护照123456"):
        paper = {"id_type": id_type, "id_no": number}
        assert refused(WithholdRequest, ORDER | {"card": CARD | paper}) == ["card.id_no"]


@pytest.mark.parametrize("id_type", ["", "visa", 0, None, "ID_CARD"])
def test_a_paper_that_nobody_knows_is_refused_by_its_name(id_type: object) -> None:
    assert refused(WithholdRequest, ORDER | {"card": CARD | {"id_type": id_type}}) == ["card.id_type"]


@pytest.mark.parametrize("number", ["11010519491231002x", "11010519491231002X"])
def test_the_x_of_an_id_number_is_kept_large(number: str) -> None:
    card = withhold(card=CARD | {"id_no": number}).card
    assert card is not None
    assert card.id_no == "11010519491231002X"


@pytest.mark.parametrize("phone", ["23800000000", "1380000000", "138000000000", "+8613800000000", 13800000000])
def test_a_phone_is_a_chinese_mobile_number(phone: object) -> None:
    assert refused(WithholdRequest, ORDER | {"card": CARD | {"phone": phone}}) == ["card.phone"]


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("card_no", "６" + CARD_NO[1:]),
        ("card_no", f"{CARD_NO[:4]} {CARD_NO[4:8]}\u3000{CARD_NO[8:]}"),
        ("phone", "１３８００１３８０００"),
        ("phone", "138 0013\u00a08000"),
        ("id_no", "11010119900307777４"),
        ("id_no", "11010519491231002ｘ"),
        ("holder_name", "买买提•阿卜杜拉"),
        ("holder_name", "张 三"),
    ],
)
def test_a_card_is_taken_as_people_type_it_and_kept_so_for_the_hash_of_the_first_version(
    field: str, typed: str
) -> None:
    card = withhold(card=CARD | {field: typed}).card
    assert card is not None
    assert getattr(card, field) == (typed.upper() if field == "id_no" else typed)


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("card_no", f"{CARD_NO[:4]}  {CARD_NO[4:]}"),
        ("card_no", f"{CARD_NO[:4]}-{CARD_NO[4:]}"),
        ("card_no", f"{CARD_NO[:4]}\u200b{CARD_NO[4:]}"),
        ("card_no", f"{CARD_NO}\u3000"),
        ("phone", "138\t00138000"),
        ("phone", "+86 13800138000"),
        ("id_no", "110101 19900307 7774"),
    ],
)
def test_what_is_more_than_another_width_or_a_blank_is_refused(field: str, typed: str) -> None:
    assert refused(WithholdRequest, ORDER | {"card": CARD | {field: typed}}) == [f"card.{field}"]


@pytest.mark.parametrize("name", ["", " ", "张\x1f三", "x" * 65, "张三\n"])
def test_a_name_has_no_control_characters(name: str) -> None:
    assert refused(WithholdRequest, ORDER | {"card": CARD | {"holder_name": name}}) == ["card.holder_name"]
    assert withhold(card=CARD | {"holder_name": "买买提·艾力"}).card


@pytest.mark.parametrize("bank", ["icbc", "NOSUCH", "", "ICBC ", 102])
def test_a_bank_is_one_we_know(bank: object) -> None:
    assert refused(WithholdRequest, ORDER | {"bank": bank}) == ["bank"]


@pytest.mark.parametrize(
    ("scene", "change", "field"),
    [
        ("withhold", {"card": None}, "card"),
        ("withhold", {"card_id": "card_01h2xcejqtf2nbrexx3vqjhp41"}, "card_id"),
        ("custody_withhold", {}, "card"),
        ("custody_withhold", {"card": None, "card_id": "card_01h2xcejqtf2nbrexx3vqjhp41"}, "card_id"),
        ("custody_withhold", {"card": None}, "bank"),
    ],
)
def test_a_scene_has_its_card_or_its_bank(scene: str, change: dict[str, Any], field: str) -> None:
    assert refused(WithholdRequest, ORDER | {"scene": scene} | change) == [field]


@pytest.mark.parametrize("kind", list(Kind))
def test_each_call_takes_its_own_scenes_and_no_others(kind: Kind) -> None:
    model: type[PaymentRequest] = WithholdRequest if kind is Kind.WITHHOLD else ChargeRequest
    for scene in Scene:
        needs: dict[str, Any] = {} if scene in CARD_SCENES else {"card": None, "bank": "ICBC"}
        body = ORDER | needs | {"scene": scene.value}
        if scene in SCENES_OF[kind]:
            assert checked(model, body).scene is scene
        else:
            assert refused(model, body) == ["scene"]


@pytest.mark.parametrize(
    "metadata",
    [
        [],
        "x",
        {"a": {}},
        {"a": []},
        {"a": 1.5},
        {"a": 2**53},
        {"": 1},
        {"k" * 41: 1},
        {"a": "x" * 501},
        {str(n): n for n in range(51)},
    ],
)
def test_metadata_is_flat_and_small(metadata: object) -> None:
    assert refused(WithholdRequest, ORDER | {"metadata": metadata}) == ["metadata"]


def test_metadata_holds_texts_whole_numbers_and_answers() -> None:
    held = {"b": "文", "a": -(2**53) + 1, "c": True, "d": None}
    assert withhold(metadata=held).metadata == held


@pytest.mark.parametrize("url", ["ftp://x", "javascript:1", "http://", "https://a b", "//x", "x" * 513, "https://x/\n"])
def test_a_return_address_is_a_web_address(url: str) -> None:
    assert refused(WithholdRequest, ORDER | {"return_url": url}) == ["return_url"]
    assert withhold(return_url="https://shop.example.com:8443/back?order=1").return_url


@pytest.mark.parametrize("text", ["x" * 256, "a\nb", " a", "\x1b[0m", 1])
def test_a_description_is_one_line(text: object) -> None:
    assert refused(WithholdRequest, ORDER | {"description": text}) == ["description"]
    assert withhold(description="3 月月供 👨‍👩‍👧").description


@pytest.mark.parametrize("seconds", [59, 7 * 86_400 + 1, -1, "60", 60.0])
def test_an_expiry_is_a_minute_to_a_week(seconds: object) -> None:
    assert refused(WithholdRequest, ORDER | {"expires_in_s": seconds}) == ["expires_in_s"]


def test_an_unknown_field_is_named_unless_its_name_may_be_a_secret() -> None:
    assert refused(WithholdRequest, ORDER | {"amont": 1}) == ["amont"]
    assert refused(WithholdRequest, ORDER | {CARD_NO: 1}) == ["(unreadable name)"]
    assert refused(WithholdRequest, ORDER | {"张三": 1}) == ["(unreadable name)"]


def test_what_is_refused_is_said_in_bounds() -> None:
    fields = refused(WithholdRequest, ORDER | {f"x{n}": 1 for n in range(500)})
    assert len(fields) == 20


def test_card_elements_do_not_show_themselves() -> None:
    shown = repr(withhold()) + str(withhold().card)
    assert not [secret for secret in SECRETS if secret in shown]


def test_a_time_has_its_zone() -> None:
    asked = checked_query(PaymentSearch, [("created_from", "2026-03-01T08:00:00.5+08:00")])
    assert asked.created_from == datetime(2026, 3, 1, 0, 0, 0, 500_000, tzinfo=UTC)
    for text in (
        "2026-03-01T08:00:00",
        "2026-03-01 08:00:00Z",
        "2026-02-30T08:00:00Z",
        "1772323200",
        "２026-03-01T08:00:00Z",
    ):
        assert refused_query("created_from", text) == ["created_from"]


@pytest.mark.parametrize("text", ["0", "201", "-1", "1.0", " 5", "1_0", "５", "", "99999999999999999999"])
def test_a_page_has_its_bounds(text: str) -> None:
    assert refused_query("limit", text) == ["limit"]


def refused_query(name: str, text: str) -> list[str]:
    with pytest.raises(Problem) as caught:
        checked_query(PaymentSearch, [(name, text)])
    return [error.field for error in caught.value.errors]


def test_a_dry_run_of_a_bank_scene_takes_no_card() -> None:
    question = {"user_id": "u1", "scene": "netbank_charge", "amount": 1, "bank": "ICBC", "card": CARD}
    assert refused(RouteQuestion, question) == ["card"]
