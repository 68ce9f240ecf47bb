from typing import Any

from gateway.ports import Command
from tests.adapters.case import sent
from tests.adapters.contract import Contract, do
from tests.adapters.lianlian_case import LianLianCase

CASE = LianLianCase()


class TestLianLian(Contract):
    case = CASE

    async def test_the_same_command_twice_is_the_same_order_on_the_wire(self, sends: type[Command[Any]]) -> None:
        """By what is inside: it is encrypted under keys that are new each time."""
        adapter, wire = self.adapter(self.case.processing)
        await do(adapter, sent(sends, self.scene))
        await do(adapter, sent(sends, self.scene))
        first, second = wire.sent
        assert CASE.checked(first) == CASE.checked(second)
        assert first.content != second.content
