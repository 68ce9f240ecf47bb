"""The forms that are sent: what each transaction of ACP 5.1.0 brings (the official demo: H)."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from adapters.unionpay.letter import Fields
from adapters.unionpay.page import GATEWAY, SCENE
from adapters.unionpay.sensitive import Sensitive
from gateway.domain.scenes import Scene
from gateway.ports import Authenticate, Pay, Payout, Refund, SendPaymentCode, SendSigningCode, Sign, Unbind

__all__ = ["OPEN_QUERY", "PAYMENTS", "REFUNDS", "Forms"]

BEIJING: Final = ZoneInfo("Asia/Shanghai")

OPEN_CARD: Final = {"txnType": "79", "txnSubType": "00", "bizType": "000902", "accType": "01"}
OPEN_QUERY: Final = {"txnType": "78", "txnSubType": "02", "bizType": "000902"}
OPENING_SMS: Final = {"txnType": "77", "txnSubType": "00", "bizType": "000902", "accType": "01"}
CONSUMING_SMS: Final = {"txnType": "77", "txnSubType": "02", "bizType": "000902", "accType": "01"}
DELETE_TOKEN: Final = {"txnType": "74", "txnSubType": "01", "bizType": "000902"}
ORDER_QUERY: Final = {"txnType": "00", "txnSubType": "00", "bizType": "000000"}
PAY_OUT: Final = {"txnType": "12", "txnSubType": "00", "bizType": "000401", "accType": "01"}
STATEMENT: Final = {"txnType": "76", "txnSubType": "01", "bizType": "000000", "fileType": "00"}
MAX_NOTE: Final = 20
"""Characters of billNo, a note that the issuer may show; 40 bytes (M)."""
# What would part fields in a text, full width instead (H, for reqReserved).
_HARMLESS: Final = str.maketrans("&={}[]\"'", "＆＝｛｝【】“‘")
PAYMENTS: Final[Mapping[Scene, Fields]] = {
    Scene.QUICK_CHARGE: {"txnType": "01", "txnSubType": "01", "bizType": "000902"},
    Scene.WITHHOLD: {"txnType": "11", "txnSubType": "00", "bizType": "000501", "accType": "01"},
    SCENE: {"txnType": "01", "txnSubType": "01", "bizType": GATEWAY},
}
REFUNDS: Final[Mapping[Scene, Fields]] = {
    scene: {"txnType": "04", "txnSubType": "00", "bizType": original["bizType"]} for scene, original in PAYMENTS.items()
}


class Forms:
    """The forms of one merchant."""

    def __init__(self, mer_id: str, tr_id: str, cert_id: str, sensitive: Sensitive) -> None:
        self._mer_id, self._tr_id, self._cert_id, self._sensitive = mer_id, tr_id, cert_id, sensitive

    def order(self, kind: Fields, number: str, told_at: datetime) -> dict[str, str]:
        """What every form says of its order; all of a question."""
        return {
            **kind,
            "version": "5.1.0",
            "encoding": "UTF-8",
            "signMethod": "01",
            "channelType": "07",
            "accessType": "0",
            "merId": self._mer_id,
            "orderId": number,
            "txnTime": told_at.astimezone(BEIJING).strftime("%Y%m%d%H%M%S"),
            "certId": self._cert_id,
        }

    def question(self, scene: Scene, number: str, told_at: datetime) -> dict[str, str]:
        """00/00, of a payment of this scene or of a refund of one."""
        return self.order(ORDER_QUERY | ({"bizType": GATEWAY} if scene is SCENE else {}), number, told_at)

    def opening(self, command: Authenticate | Sign) -> dict[str, str]:
        """79/00, with the code that the payer typed where there is one."""
        fields = self.order(OPEN_CARD, command.number, command.told_at)
        fields |= {"tokenPayData": f"{{trId={self._tr_id}&tokenType=01}}"}
        sms_code = command.sms_code if isinstance(command, Sign) else None
        return fields | self._sensitive.card(command.card, sms_code)

    def opening_sms(self, command: SendSigningCode) -> dict[str, str]:
        """77/00. Its number and time are those of the opening that will use the code (H)."""
        fields = self.order(OPENING_SMS, command.number, command.told_at)
        return fields | self._sensitive.number_and_phone(command.card)

    def consuming_sms(self, command: SendPaymentCode, token: str) -> dict[str, str]:
        """77/02. Its time is that of the consume that will use the code (H), and so is its number (M)."""
        fields = self.order(CONSUMING_SMS, command.number, command.told_at)
        fields |= {"txnAmt": str(command.amount), "currencyCode": "156", "tokenPayData": self._token(token)}
        return fields | self._sensitive.phone(command.card)

    def consume(self, command: Pay, token: str) -> dict[str, str]:
        """01/01, with the code that the payer typed where there is one."""
        fields = self._money(PAYMENTS[Scene.QUICK_CHARGE], command) | {"tokenPayData": self._token(token)}
        return fields if command.sms_code is None else fields | self._sensitive.code(command.sms_code)

    def withhold(self, command: Pay) -> dict[str, str]:
        """11/00."""
        assert command.card is not None
        return self._money(PAYMENTS[Scene.WITHHOLD], command) | self._sensitive.card(command.card)

    def deletion(self, command: Unbind) -> dict[str, str]:
        """74/01."""
        fields = self.order(DELETE_TOKEN, command.number, command.told_at)
        return fields | {"tokenPayData": self._token(command.agreement_no)}

    def refund(self, command: Refund, original_transaction_no: str) -> dict[str, str]:
        """04/00."""
        return self._money(REFUNDS[command.scene], command) | {"origQryId": original_transaction_no}

    def payout(self, command: Payout) -> dict[str, str]:
        """12/00."""
        fields = self._money(PAY_OUT, command) | self._sensitive.payee(command.payee)
        line = "".join(each if each.isprintable() else " " for each in " ".join(command.purpose.split()))
        note = line.translate(_HARMLESS)[:MAX_NOTE].strip()
        return fields | ({"billNo": note} if note else {})

    def payouts_question(self, number: str, told_at: datetime) -> dict[str, str]:
        """00/00, of a payout."""
        return self.order(ORDER_QUERY, number, told_at)

    def statement(self, day: date, told_at: datetime) -> dict[str, str]:
        """76/01, of a day of clearing; it names no order and no channel (H)."""
        fields = self.order(STATEMENT, "", told_at) | {"settleDate": f"{day:%m%d}"}
        return {name: value for name, value in fields.items() if name not in {"orderId", "channelType"}}

    def _money(self, kind: Fields, command: Pay | Refund | Payout) -> dict[str, str]:
        fields = self.order(kind, command.number, command.told_at)
        return fields | {"txnAmt": str(command.amount), "currencyCode": "156", "backUrl": command.notify_url}

    def _token(self, token: str) -> str:
        return f"{{token={token}&trId={self._tr_id}}}"
