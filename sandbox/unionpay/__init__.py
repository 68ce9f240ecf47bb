"""UnionPay ACP 5.1.0 as a mock: form in, `k=v&k=v` out, RSA signatures, signed notifications."""

from sandbox.unionpay.provider import UnionPay

__all__ = ["UnionPay"]
