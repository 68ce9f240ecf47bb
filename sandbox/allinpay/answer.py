"""One answer of TLT, before it is written and signed."""

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.allinpay import codes as table
from sandbox.allinpay.wire import Rows

__all__ = ["Answer", "word"]


@dataclass(frozen=True, slots=True)
class Answer:
    """INFO's code, and the body if there is one."""

    code: str
    detail: str = ""
    body_name: str = ""
    rows: Rows | Mapping[str, str] | None = None


def word(body_name: str, code: str, text: str = "", **more: str) -> Answer:
    """A request that was taken, with this word in its body."""
    rows = {"RET_CODE": code, "ERR_MSG": text or table.text_of(code), **more}
    return Answer(table.SUCCESS, body_name=body_name, rows=rows)
