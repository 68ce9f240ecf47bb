"""What Allinpay's commands do not say by themselves: terms, banks, papers, and what no public source says for sure."""

from typing import Final

from adapters.allinpay.codes import BANKS, ID_TYPES
from gateway.domain.carrying import Carries
from gateway.domain.payees import PayeeRules, PayeeType
from gateway.domain.scenes import Scene
from gateway.domain.terms import NotFoundRule, Product, Terms, Watch
from gateway.ports import (
    AskBalance,
    AskPayment,
    AskPayout,
    AskRefund,
    Assumption,
    Declaration,
    Pay,
    Payout,
    Refund,
    SendSigningCode,
    Sign,
)

__all__ = ["DECLARATION", "PAYEES"]

PAYEES: Final = PayeeRules(
    needs={
        PayeeType.PERSONAL: frozenset(),
        PayeeType.CORPORATE: frozenset({"branch", "cnaps", "province", "city"}),
    },
    banks=frozenset(BANKS),
    charset="gbk",
)
DAY_S: Final = 24 * 3600.0

ASSUMPTIONS: Final = (
    Assumption(
        "sms_codes",
        "310002 tells a wrong or expired code by 验证码 in its text, and takes the next one for the same SRCREQSN.",
        frozenset({SendSigningCode, Sign}),
    ),
    Assumption(
        "bank_codes",
        "0315 is the bank code of 恒丰 (EGBANK), and 0319 that of 徽商 (HSBANK).",
        frozenset({Pay}),
        since_first_version=True,
    ),
    Assumption(
        "finishing_time",
        "FINTIME of a queried order is when it was finished, in Beijing time.",
        frozenset({AskPayment}),
        since_first_version=True,
    ),
    Assumption(
        "residence_permits",
        "Residence permits of people from Hong Kong, Macau and Taiwan (81, 82, 83) are ID_TYPE 0.",
        frozenset({Pay}),
        since_first_version=True,
    ),
    Assumption(
        "payout_fields",
        "100014 takes SUMMARY, and for a firm's account ACCOUNT_PROP 1 with PROVINCE, CITY, BANK_NAME and UNION_BANK.",
        frozenset({Payout}),
    ),
    Assumption(
        "late_returns",
        "A payout that came back is told as RET_CODE 3056 by 200004 under its own REQ_SN, however late.",
        frozenset({Payout, AskPayout}),
    ),
    Assumption(
        "refund_question",
        "200004 tells of a refund by its own REQ_SN, in one line whose BATCHID that is.",
        frozenset({Refund, AskRefund}),
    ),
    Assumption(
        "refund_codes",
        "A refund is told, at once and by 200004, by the RET_CODEs of payments: 0000 was given back, 3056 came back "
        "afterwards, 3008 means that the merchant's balance is short, and what else refuses a payment refused it.",
        frozenset({Refund, AskRefund}),
    ),
    Assumption(
        "balance_fields",
        "300000 takes the merchant's number with 000 as ACCTNO and answers that account's BALANCE, and USABLEBAL where "
        "it tells what payouts can take, both in fen.",
        frozenset({AskBalance}),
    ),
    Assumption(
        "statement_columns",
        "A statement's lines have the columns that public clients read, with amounts and fees in fen and as SETTLE_DAY "
        "the day that was asked for; its head counts all of them, or all that were paid; 0000 and 4000 were paid, and "
        "3056 is the return of what another line paid out.",
        statements=True,
    ),
)

DECLARATION: Final = Declaration(
    provider="allinpay",
    statements=True,
    scenes=frozenset({Scene.WITHHOLD, Scene.QUICK_CHARGE}),
    terms={
        Product.PAYMENT: Terms(
            poll_gaps_s=(300.0,),  # "query about 5 min later, repeatedly" (H)
            # 1002 is "empty result set": the demo (H) concludes nothing from it, sister platforms read "not received"
            # (M). A merchant's notes say that 200004 leaves out what is still in process (M), so 1002 may also be an
            # order that the bank has not answered yet: the time counts more than the number of answers. Lengthen it in
            # the account where the merchant's contract promises nothing better.
            not_found=NotFoundRule(answers=3, over_s=1800.0),
            # No source states one; 100011 waits for the bank, and a cut answer costs 5 min of polling.
            answer_timeout_s=60.0,
        ),
        Product.PAYOUT: Terms(
            poll_gaps_s=(300.0,),  # as above (H)
            # 1002 once more; but what is called lost is paid out anew, and money that went out twice is gone: a day of
            # them, so that the bank's own day has passed.
            not_found=NotFoundRule(answers=6, over_s=DAY_S),
            answer_timeout_s=60.0,
            # How long a bank may give a payout back is not public; banks' returns come within days: our choice.
            watch=Watch(gaps_s=(3600.0, 6 * 3600.0), for_s=10 * DAY_S),
        ),
        Product.REFUND: Terms(
            # As above (H); a refund that the bank has not finished by then may take days: our choice.
            poll_gaps_s=(300.0, 300.0, 300.0, 1800.0),
            # 1002 again: what is called lost is given back anew, and nobody brings money back that went out twice.
            not_found=NotFoundRule(answers=6, over_s=DAY_S),
            answer_timeout_s=60.0,
        ),
        # A signing is never asked about: its query is not public. The payer waits in front of it.
        Product.AUTHENTICATION: Terms(poll_gaps_s=(300.0,), not_found=None, answer_timeout_s=30.0, late_looks=0),
    },
    carries=Carries(banks=frozenset(BANKS), charset="gbk", id_types=frozenset(ID_TYPES)),
    payees=PAYEES,
    identity=frozenset({"merchant_id"}),
    assumptions=ASSUMPTIONS,
    # No code of its own for a payment is used here; a signing's code may be tried again, under `sms_codes`.
    code_wants_agreement=False,
    wrong_code_ends_order=False,
    authenticated_scenes=frozenset({Scene.QUICK_CHARGE}),  # 100011 is for withholds; all else goes by 310011
)
