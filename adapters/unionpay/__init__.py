"""UnionPay ACP 5.1.0: `adapter` reads top to bottom, `codes` is the respCode table, `letter` how messages are written.

Knows `gateway.ports`, `gateway.domain`, `adapters.account` and `adapters.signing`; must not know another adapter.
"""

from adapters.unionpay.adapter import DECLARATION, UnionPay

__all__ = ["DECLARATION", "UnionPay"]
