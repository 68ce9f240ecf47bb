"""UnionPay ACP 5.1.0: `adapter` reads top to bottom, `forms` is what it sends, `answers` and `notices`
what it reads, `page` both of what a payer's browser brings, `codes` the respCode table, `letter` how messages are
written, `declaration` what is assumed.

Knows `gateway.ports`, `gateway.domain`, `adapters.account` and `adapters.signing`; must not know another adapter.
"""

from adapters.unionpay.adapter import UnionPay

__all__ = ["UnionPay"]
