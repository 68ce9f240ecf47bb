"""Refusing a field in our own words."""

from pydantic_core import PydanticCustomError

from gateway.api.http.field_codes import FieldCode

__all__ = ["wrong"]


def wrong(code: FieldCode, message: str, field: str = "") -> PydanticCustomError:
    """A refusal with our own words; never put the value into them. `field`: which one, said by its whole model."""
    # The context marks it as ours: a code may also be one of pydantic's, whose words are replaced.
    return PydanticCustomError(code, message, {"field": field})
