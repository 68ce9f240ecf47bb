"""A custody bank of the lanmao family as a mock: payers' accounts, payment companies behind it, pages of its own."""

from sandbox.lanmao.provider import Lanmao

__all__ = ["Lanmao"]
