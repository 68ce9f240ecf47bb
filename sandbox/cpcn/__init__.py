"""CPCN as a mock: signed XML in base64 both ways, bindings with and without an SMS, notices of withholds."""

from sandbox.cpcn.provider import Cpcn

__all__ = ["Cpcn"]
