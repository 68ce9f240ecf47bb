"""Limits as fields of the models that files and API are read and shown by: said once, in `router.limits`.

In files and in JSON they stand flat beside a model's own fields (`single_limit` beside `fee`).
"""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, create_model
from pydantic.fields import FieldInfo

from router.limits import About, Limits

__all__ = ["given", "with_limits"]

Model = TypeVar("Model", bound=BaseModel)
L = TypeVar("L", bound=Limits)


def with_limits(
    kind: type[Limits], least: FieldInfo | None, prefix: str = "", *, routed: bool = False
) -> Callable[[type[Model]], type[Model]]:
    """A class decorator: the model has a field for each limit of this kind; null and absent are no limit.

    `least` is the bound below, as `Field(gt=0)`. Without it the model is an answer's, in which every limit is shown.
    `routed`: only the limits that the router chooses by.
    """

    def add(model: type[Model]) -> type[Model]:
        fields: dict[str, Any] = {
            f"{prefix}{limit.name}": (int | None, ...) if least is None else (_taken(limit, least) | None, None)
            for limit in kind.each()
            if limit.routed or not routed
        }
        return create_model(
            model.__name__, __base__=model, __module__=model.__module__, __doc__=model.__doc__, **fields
        )

    return add


def given(kind: type[L], model: BaseModel, prefix: str = "") -> L:
    """The limits that a model was given; those that it has no field for are none."""
    return kind(**{limit.name: getattr(model, f"{prefix}{limit.name}", None) for limit in kind.each()})


def _taken(limit: About, least: FieldInfo) -> Any:
    unit = "in fen (1/100 yuan); " if limit.unit == "fen" else ""
    return Annotated[int, least, Field(le=limit.most, description=f"{limit.text}, {unit}null: no limit")]
