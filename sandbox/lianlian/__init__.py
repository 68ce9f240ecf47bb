"""LianLian's quick pay (MPAY) as a mock: signed JSON in and out, card data encrypted, SMS codes, JSON notices."""

from sandbox.lianlian.provider import LianLian

__all__ = ["LianLian"]
