"""The demonstration's payers type what came by SMS. Not tested here: the sandbox's inbox, and the drive itself."""

from gateway.run.demo.orders import Typing
from gateway.run.demo.payers import Payer, sms_seen


def sms(code: str, purpose: str = "sign", provider: str = "a", phone: str = "13900000001") -> dict[str, str]:
    return {"provider": provider, "phone": phone, "purpose": purpose, "order_no": f"o-{purpose}", "code": code}


def test_a_payer_types_the_newest_code_once_and_the_next_one_when_it_has_come() -> None:
    payer = Payer(Typing.TYPES)
    assert payer.types([]) is None
    assert payer.types([sms("111111"), sms("222222")]) == "222222"
    assert payer.types([sms("222222")]) is None
    assert payer.types([sms("222222"), sms("333333", "pay")]) == "333333"


def test_one_who_mistypes_types_the_right_code_afterwards() -> None:
    payer = Payer(Typing.MISTYPES)
    first, second = payer.types([sms("123456")]), payer.types([sms("123456")])
    assert (first != "123456", second) == (True, "123456")


def test_sms_are_counted_by_provider_and_a_phone_that_two_of_them_signed_is_told() -> None:
    inbox = [sms("1"), sms("2", "pay", "b"), sms("3", "pay", "b"), sms("4", phone="13900000009")]
    seen = sms_seen(inbox, ["13900000001"])
    assert (str(seen), seen.signed_twice) == ("3 SMS to 1 phones: a 1 to sign, b 2 to pay", [])
    twice = sms_seen([*inbox, sms("5", provider="b")], ["13900000001"])
    assert twice.signed_twice == ["a phone that ends with 0001 got SMS to sign from a and b"]
    assert str(sms_seen([], [])) == "0 SMS to 0 phones"
