"""The body nodes of TLT requests: what each transaction says (fields: H and M, see `adapter`)."""

from datetime import datetime, timedelta, timezone
from typing import Final

from adapters.allinpay.codes import BANKS, ID_TYPES
from adapters.allinpay.envelope import in_gbk_or_marks, node
from gateway.domain.cards import CardElements
from gateway.domain.payees import PayeeType
from gateway.ports import AskPayment, AskPayout, AskRefund, Pay, Payout, Refund, SendSigningCode, Sign, Unbind

__all__ = ["BEIJING", "Bodies"]

BEIJING: Final = timezone(timedelta(hours=8))
DEBIT, PERSON, FIRM, CURRENCY = "00", "0", "1", "CNY"
MAX_SUMMARY: Final = 15
"""Characters of a purpose or a reason. How long SUMMARY and REMARK may be is not public: 30 bytes of GBK (L)."""
SINGLE: Final = "0"
"""ORGBATCHSN of a payment that was no part of a batch (H)."""


class Bodies:
    """The bodies of one merchant. Texts that GBK cannot write are found out when the envelope is sealed."""

    def __init__(
        self, merchant_id: str, business_code: str, payout_business_code: str, refund_business_code: str
    ) -> None:
        self._merchant_id, self._business_code = merchant_id, business_code
        self._payout_business_code, self._refund_business_code = payout_business_code, refund_business_code

    def collect(self, command: Pay) -> str:
        """TRANS of 100011."""
        card = command.card
        assert card is not None
        return node(
            "TRANS",
            BUSINESS_CODE=self._business_code,
            MERCHANT_ID=self._merchant_id,
            SUBMIT_TIME=_time(command.told_at),
            BANK_CODE=BANKS[command.bank],
            ACCOUNT_TYPE=DEBIT,
            ACCOUNT_NO=card.card_no,
            ACCOUNT_NAME=card.holder_name,
            ACCOUNT_PROP=PERSON,
            AMOUNT=str(command.amount),
            CURRENCY=CURRENCY,
            **_holder(card),
            # For the merchant's own eyes: a strange user id must not cost a payment.
            CUST_USERID=in_gbk_or_marks(command.user_id),
        )

    def pay_by_agreement(self, command: Pay, agreement_no: str) -> str:
        """FASTTRX of 310011."""
        card = command.card
        assert card is not None
        return node(
            "FASTTRX",
            BUSINESS_CODE=self._business_code,
            MERCHANT_ID=self._merchant_id,
            SUBMIT_TIME=_time(command.told_at),
            AGRMNO=agreement_no,
            ACCOUNT_NO=card.card_no,
            ACCOUNT_NAME=card.holder_name,
            AMOUNT=str(command.amount),
            CURRENCY=CURRENCY,
            **_holder(card),
            CUST_USERID=in_gbk_or_marks(command.user_id),
        )

    def payout(self, command: Payout) -> str:
        """TRANS of 100014: the demo's elements, SUMMARY for the payee's eyes, and where a firm's account is kept."""
        payee = command.payee
        firm = payee.type is PayeeType.CORPORATE
        kept = {
            "PROVINCE": payee.province or "",
            "CITY": payee.city or "",
            "BANK_NAME": payee.branch or "",
            "UNION_BANK": payee.cnaps or "",
        }
        summary = in_gbk_or_marks(command.purpose)[:MAX_SUMMARY].strip()
        return node(
            "TRANS",
            BUSINESS_CODE=self._payout_business_code,
            MERCHANT_ID=self._merchant_id,
            SUBMIT_TIME=_time(command.told_at),
            BANK_CODE=BANKS[payee.bank],
            ACCOUNT_NO=payee.account_no,
            ACCOUNT_NAME=payee.name,
            ACCOUNT_PROP=FIRM if firm else PERSON,
            AMOUNT=str(command.amount),
            CURRENCY=CURRENCY,
            **(kept if firm else {}),
            **({"SUMMARY": summary} if summary else {}),
        )

    def refund(self, command: Refund) -> str:
        """REFUND: names its payment by our number of it. NOTIFYURL stays away: no source says what comes there."""
        remark = in_gbk_or_marks(command.reason)[:MAX_SUMMARY].strip()
        return node(
            "REFUND",
            BUSINESS_CODE=self._refund_business_code,
            MERCHANT_ID=self._merchant_id,
            SUBMIT_TIME=_time(command.told_at),
            ORGBATCHID=command.original_number,
            ORGBATCHSN=SINGLE,
            AMOUNT=str(command.amount),
            **({"REMARK": remark} if remark else {}),
        )

    def query(self, command: AskPayment | AskPayout | AskRefund) -> str:
        """QTRANSREQ of 200004. STATUS 2 is all; TYPE 1 by submission: 0 would leave out what is not finished (M)."""
        return node("QTRANSREQ", MERCHANT_ID=self._merchant_id, QUERY_SN=command.number, STATUS="2", TYPE="1")

    def signing_sms(self, command: SendSigningCode) -> str:
        """FAGRA of 310001."""
        return node(
            "FAGRA",
            MERCHANT_ID=self._merchant_id,
            BANK_CODE=BANKS[command.bank],
            ACCOUNT_TYPE=DEBIT,
            ACCOUNT_NO=command.card.card_no,
            ACCOUNT_NAME=command.card.holder_name,
            ACCOUNT_PROP=PERSON,
            **_holder(command.card),
        )

    def signing(self, command: Sign, sms_req_sn: str) -> str:
        """FAGRC of 310002, which names the 310001 whose SMS it answers."""
        return node("FAGRC", MERCHANT_ID=self._merchant_id, SRCREQSN=sms_req_sn, VERCODE=command.sms_code)

    def unbinding(self, command: Unbind) -> str:
        """FAGRCNL of 310003."""
        return node("FAGRCNL", MERCHANT_ID=self._merchant_id, AGRMNO=command.agreement_no)


def _holder(card: CardElements) -> dict[str, str]:
    return {"ID_TYPE": ID_TYPES[card.id_type], "ID": card.id_no, "TEL": card.phone}


def _time(told_at: datetime) -> str:
    return told_at.astimezone(BEIJING).strftime("%Y%m%d%H%M%S")
