"""Fields that several of the operators' requests have."""

from typing import Annotated

from pydantic import Field

from router.fees import MAX_FEN

__all__ = ["MAX_INT32", "MAX_NAME", "MAX_NOTE", "Limit"]

MAX_NAME, MAX_NOTE = 100, 500
MAX_INT32 = 2**31 - 1

Limit = Annotated[int, Field(ge=1, le=MAX_FEN, description="in fen (1/100 yuan); null: no limit")]
