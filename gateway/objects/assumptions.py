"""How an assumption in force is shown: what is taken for true that no public document says, and by whose word."""

from typing import Any

from gateway.ports import Assumption

__all__ = ["assumption_object"]


def assumption_object(assumption: Assumption) -> dict[str, Any]:
    """An assumption that an account is used with."""
    return {
        "name": assumption.name,
        "meaning": assumption.meaning,
        "by": "first_version" if assumption.since_first_version else "account",
    }
