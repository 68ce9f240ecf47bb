"""Each mock that sends SMS as a payer's phone meets it: one way to ask for a code, to type it and to pay, for all.

Every step is a real request of the provider's protocol, and its answer is told by the provider's own code.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tests.sandbox.baofoo_merchant import BaofooMerchant
from tests.sandbox.lianlian_merchant import USER, LianLianMerchant
from tests.sandbox.merchants import Fields, Sandbox, codes, read_answer
from tests.sandbox.test_cpcn import CpcnMerchant
from tests.sandbox.test_jd import card_of, merchant_of, trade

__all__ = ["PAYERS", "Payer", "Sms", "Words"]


@dataclass(frozen=True)
class Words:
    """The provider's own codes, by what they mean."""

    sent: str
    bound: str
    paid: str
    expired: str
    holder_refused: str
    phone_refused: str
    not_paid: str
    """By a card that was bound with another phone than the reserved one."""
    sms_wanted: str = ""
    """To a silent binding; "": there is none."""


@dataclass
class Sms:
    """A wish for an SMS: how it was answered, and what goes back with the code."""

    word: str
    card: str
    phone: str
    number: str
    token: str = ""
    agreement: str = ""


class Payer(ABC):
    """One provider's protocol. `again`: the SMS before, of the same order."""

    words: ClassVar[Words]
    binds: ClassVar[bool] = True
    """The first code binds the card; not so where each code pays."""
    pays_by_code: ClassVar[bool] = True
    """A payment may have an SMS of its own, beside the one that binds."""

    def __init__(self, sandbox: Sandbox, keys: Path) -> None:
        self.sandbox, self.keys = sandbox, keys

    async def silent(self, card: str, phone: str) -> str:
        """Bind without the payer."""
        raise NotImplementedError

    @abstractmethod
    async def ask(self, card: str, phone: str) -> Sms:
        """Ask for the SMS that binds the card, or that pays where nothing is bound."""

    @abstractmethod
    async def type_code(self, sms: Sms, code: str) -> str:
        """Type its code. It leaves the agreement in `sms`."""

    @abstractmethod
    async def pay(self, sms: Sms) -> str:
        """Pay with what the code has bound: how it ended."""

    async def ask_to_pay(self, sms: Sms) -> Sms:
        """Ask for the SMS of a payment with what is bound."""
        raise NotImplementedError

    async def type_to_pay(self, sms: Sms, code: str) -> str:
        """Type its code."""
        raise NotImplementedError


class AtUnionPay(Payer):
    words = Words("00", "00", "00", "69", "66", "66", "66", sms_wanted="71")

    async def silent(self, card: str, phone: str) -> str:
        merchant = self.sandbox.unionpay
        return (await merchant.send(merchant.opening(merchant.number(), card, phoneNo=phone)))["respCode"]

    async def ask(self, card: str, phone: str) -> Sms:
        merchant, number = self.sandbox.unionpay, self.sandbox.unionpay.number()
        answer = await merchant.send(merchant.opening_sms(number, card, phoneNo=phone))
        return Sms(answer["respCode"], card, phone, number)

    async def type_code(self, sms: Sms, code: str) -> str:
        merchant = self.sandbox.unionpay
        answer = await merchant.send(merchant.opening(sms.number, sms.card, phoneNo=sms.phone, smsCode=code))
        sms.agreement = read_answer(answer.get("tokenPayData", "{}")[1:-1]).get("token", "")
        return answer["respCode"]

    async def pay(self, sms: Sms) -> str:
        merchant, number = self.sandbox.unionpay, self.sandbox.unionpay.number()
        await merchant.send(merchant.consuming(number, sms.agreement))
        return str((await self.sandbox.final("unionpay", number))["code"])

    async def ask_to_pay(self, sms: Sms) -> Sms:
        merchant, number = self.sandbox.unionpay, self.sandbox.unionpay.number()
        fields = merchant.consuming_sms(number, sms.agreement) | {"customerInfo": self._typed(phoneNo=sms.phone)}
        return Sms((await merchant.send(fields))["respCode"], sms.card, sms.phone, number, agreement=sms.agreement)

    async def type_to_pay(self, sms: Sms, code: str) -> str:
        merchant = self.sandbox.unionpay
        fields = merchant.consuming(sms.number, sms.agreement) | {"customerInfo": self._typed(smsCode=code)}
        return (await merchant.send(fields))["respCode"]

    def _typed(self, **customer: str) -> str:
        return self.sandbox.unionpay.customer(**customer)


class AtAllinpay(Payer):
    words = Words("0000", "0000", "0000", "3999", "3031", "3031", "3031")
    pays_by_code = False

    async def ask(self, card: str, phone: str) -> Sms:
        merchant, number = self.sandbox.allinpay, self.sandbox.allinpay.number()
        return Sms(codes(await merchant.send(merchant.signing_sms(number, card, phone)))[-1], card, phone, number)

    async def type_code(self, sms: Sms, code: str) -> str:
        merchant = self.sandbox.allinpay
        text = await merchant.send(merchant.signing(sms.number, code))
        sms.agreement = text.partition("<AGRMNO>")[2].partition("<")[0]
        return codes(text)[-1]

    async def pay(self, sms: Sms) -> str:
        merchant = self.sandbox.allinpay
        paying = merchant.paying(merchant.number(), sms.agreement, card=sms.card, phone=sms.phone)
        return codes(await merchant.send(paying))[-1]


class AtBaofoo(Payer):
    words = Words("0000", "0000", "0000", "BF00106", "BF00101", "BF00343", "BF00343")

    def __init__(self, sandbox: Sandbox, keys: Path) -> None:
        super().__init__(sandbox, keys)
        self.merchant = BaofooMerchant(sandbox, keys)

    async def ask(self, card: str, phone: str) -> Sms:
        answer = await self.merchant.pre_bind(card, f"u{phone}", phone=phone)
        return Sms(answer["biz_resp_code"], card, phone, "", answer.get("unique_code", ""))

    async def type_code(self, sms: Sms, code: str) -> str:
        answer = await self.merchant.send("02", {"unique_code": f"{sms.token}|{code}"})
        sms.agreement = answer.get("protocol_no", "")
        return answer["biz_resp_code"]

    async def pay(self, sms: Sms) -> str:
        answer = await self.merchant.pay(sms.agreement, self.merchant.number(), user_id=f"u{sms.phone}")
        return answer["biz_resp_code"]

    async def ask_to_pay(self, sms: Sms) -> Sms:
        number = self.merchant.number()
        order = self.merchant.order(number, user_id=f"u{sms.phone}")
        answer = await self.merchant.send("05", {"protocol_no": sms.agreement}, **order)
        return Sms(answer["biz_resp_code"], sms.card, sms.phone, number, answer["unique_code"], sms.agreement)

    async def type_to_pay(self, sms: Sms, code: str) -> str:
        answer = await self.merchant.send("06", {"unique_code": f"{sms.token}|{code}"})
        return answer["biz_resp_code"]


class AtCpcn(Payer):
    words = Words("2000", "00", "00", "20", "82", "83", "83", sms_wanted="71")

    def __init__(self, sandbox: Sandbox, keys: Path) -> None:
        super().__init__(sandbox, keys)
        self.merchant = CpcnMerchant(sandbox, keys, sandbox.session)

    def card(self, number: str, card: str, phone: str) -> Fields:
        return self.merchant.card(number, card) | {"PhoneNumber": phone}

    async def silent(self, card: str, phone: str) -> str:
        return (await self.merchant.send("2501", self.card(self.merchant.number(), card, phone)))["ResponseCode"]

    async def ask(self, card: str, phone: str) -> Sms:
        number = self.merchant.number()
        answer = await self.merchant.send("2531", self.card(number, card, phone))
        return Sms(answer["Code"], card, phone, number, agreement=number)

    async def type_code(self, sms: Sms, code: str) -> str:
        return verified(await self.merchant.send("2532", {"TxSNBinding": sms.number, "SMSValidationCode": code}))

    async def pay(self, sms: Sms) -> str:
        told = await self.merchant.send("2511", self.merchant.quick(self.merchant.number(), sms.agreement))
        return told["ResponseCode"]

    async def ask_to_pay(self, sms: Sms) -> Sms:
        number = self.merchant.number()
        answer = await self.merchant.send("2541", self.merchant.quick(number, sms.agreement))
        return Sms(answer["Code"], sms.card, sms.phone, number, agreement=sms.agreement)

    async def type_to_pay(self, sms: Sms, code: str) -> str:
        return verified(await self.merchant.send("2542", {"PaymentNo": sms.number, "SMSValidationCode": code}))


def verified(answer: Fields) -> str:
    """CPCN's word on the code, or the bank's where that was right."""
    return answer["ResponseCode"] if answer["VerifyStatus"] == "40" else answer["VerifyStatus"]


class AtJd(Payer):
    words = Words("0000", "0000", "0000", "EES0035", "EES0017", "EES0017", "EES0018")
    binds, pays_by_code = False, False

    def __init__(self, sandbox: Sandbox, keys: Path) -> None:
        super().__init__(sandbox, keys)
        self.merchant = merchant_of(sandbox, keys)

    async def ask(self, card: str, phone: str) -> Sms:
        number = self.merchant.number()
        answer = await self.merchant.send(card_of(card, PHONE=phone) + trade("V", number, 1000))
        return Sms(answer["CODE"], card, phone, number)

    async def type_code(self, sms: Sms, code: str) -> str:
        more = f"<DATE>20260301</DATE><TIME>120000</TIME><NOTICE></NOTICE><NOTE/><CODE>{code}</CODE>"
        answer = await self.merchant.send(card_of(sms.card, PHONE=sms.phone) + trade("S", sms.number, 1000, more))
        sms.agreement = answer["CODE"]
        return answer["CODE"]

    async def pay(self, sms: Sms) -> str:
        return sms.agreement  # typing the code was the payment


class AtLianLian(Payer):
    words = Words("8888", "0000", "0000", "1901", "1108", "1114", "1114")

    def __init__(self, sandbox: Sandbox, keys: Path) -> None:
        super().__init__(sandbox, keys)
        self.merchant = LianLianMerchant(sandbox.address, keys, sandbox.session)

    async def ask(self, card: str, phone: str) -> Sms:
        number = self.merchant.number()
        fields = self.merchant.order(number) | self.merchant.card(card) | {"bind_mob": phone}
        answer = await self.merchant.send("mpayapi/v1/bankcardbind", fields)
        return Sms(answer["ret_code"], card, phone, number, answer.get("token", ""))

    async def type_code(self, sms: Sms, code: str) -> str:
        fields = {"user_id": USER, "no_order": sms.number, "token": sms.token, "verify_code": code}
        answer = await self.merchant.send("mpayapi/v1/bankcardbindverfy", fields)
        sms.agreement = answer.get("no_agree", "")
        return answer["ret_code"]

    async def pay(self, sms: Sms) -> str:
        return (await self.merchant.prepay(self.merchant.number(), no_agree=sms.agreement))["ret_code"]

    async def ask_to_pay(self, sms: Sms) -> Sms:
        """With the card alone: then every payment wants a code."""
        number = self.merchant.number()
        answer = await self.merchant.prepay(number, **(self.merchant.card(sms.card) | {"bind_mob": sms.phone}))
        return Sms(answer["ret_code"], sms.card, sms.phone, number, answer.get("token", ""))

    async def type_to_pay(self, sms: Sms, code: str) -> str:
        return (await self.merchant.pay(sms.number, sms.token, code))["ret_code"]


PAYERS: dict[str, type[Payer]] = {
    "unionpay": AtUnionPay,
    "allinpay": AtAllinpay,
    "baofoo": AtBaofoo,
    "cpcn": AtCpcn,
    "jd": AtJd,
    "lianlian": AtLianLian,
}
