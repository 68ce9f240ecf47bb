"""A mock of YeePay net-bank (易宝支付 网银标准版), speaking its protocol with books and pages of its own."""

from sandbox.yeepay.provider import YeePay

__all__ = ["YeePay"]
