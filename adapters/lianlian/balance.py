"""What a merchant has at LianLian (traderAcctQuery.htm; its own demo, H), in yuan.

amt_balance is what payouts can take; amt_unsettle, money that is not settled yet, is what refunds are paid from.
"""

from adapters.lianlian.answers import Answer
from adapters.lianlian.codes import OK
from adapters.lianlian.letter import fen
from gateway.domain.outcomes import BalanceOutcome, BalanceStated, Unknown

__all__ = ["read_balance"]


def read_balance(answer: Answer) -> BalanceOutcome:
    """Its answer. What is told and cannot be read makes all of it unknown."""
    code, message, fields = answer.code, answer.message, answer.fields
    if code != OK:
        return Unknown("the question about the balance failed", code, message)
    for_payouts, unsettled = fen(fields.get("amt_balance", "")), fields.get("amt_unsettle")
    for_refunds = fen(unsettled) if unsettled else None
    if for_payouts is None or (unsettled and for_refunds is None):
        return Unknown("a balance that is no amount", code, message)
    return BalanceStated(for_payouts, for_refunds, channel_code=code)
