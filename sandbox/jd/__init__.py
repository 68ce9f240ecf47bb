"""JD / ChinaBank express as a mock: base64 XML under DES and MD5, an SMS code with each payment, signed notices."""

from sandbox.jd.provider import Jd

__all__ = ["Jd"]
