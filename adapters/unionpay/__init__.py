"""UnionPay ACP 5.1.0: `adapter` reads top to bottom, `forms` is what it sends, `answers` and `notices`
what it reads, `page` both of what a payer's browser brings, `codes` the respCode table, `letter` how messages are
written, `declaration` what is assumed; `statement` asks for statements, `statement_answer` believes what comes,
`statement_reader` reads it and `statement_layout` its columns.

Knows `gateway.ports`, `gateway.domain`, `adapters.account`, `adapters.signing` and `adapters.statement_files`; must not
know another adapter.
"""

from adapters.unionpay.adapter import UnionPay

__all__ = ["UnionPay"]
