"""CPCN: `adapter` is its commands, `answers` their readings, `envelope` the signed XML, `codes` the tables,
`page` what is paid on a bank's page.

Nothing here is used by another adapter.
"""

from adapters.cpcn.adapter import Cpcn

__all__ = ["Cpcn"]
