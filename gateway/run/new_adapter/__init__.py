"""`sluice new-adapter NAME`: a provider with an invented protocol that passes everything from its first minute.

`templates` are its files; in them it is called AcmePay. It works in a checkout: adapters/, sandbox/ and tests/ beside
gateway/.
"""

from gateway.run.new_adapter.command import new_adapter
from gateway.run.new_adapter.writing import NewAdapterError, Written, write_adapter

__all__ = ["NewAdapterError", "Written", "new_adapter", "write_adapter"]
