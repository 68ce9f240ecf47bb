"""The control API where it filters and refuses. Does not test the faults: test_faults.py."""

import pytest

from tests.sandbox.merchants import Sandbox


async def test_transactions_can_be_asked_for_from_a_moment_on(sandbox: Sandbox) -> None:
    merchant = sandbox.allinpay
    for _ in range(2):
        await merchant.collect(merchant.number())
    _, everything = await sandbox.control("GET", "allinpay/transactions")
    first, second = everything["transactions"]
    assert first["received_at"].endswith("Z")
    _, later = await sandbox.control("GET", "allinpay/transactions?since=2100-01-01T00:00:00Z")
    _, sooner = await sandbox.control("GET", "allinpay/transactions?since=2020-01-01T00:00:00Z")
    assert (later["transactions"], sooner["transactions"]) == ([], [first, second])


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "nobody/transactions", None, 404),
        ("GET", "unionpay/transactions?since=yesterday", None, 422),
        ("DELETE", "unionpay/faults/fault_99", None, 404),
        ("POST", "unionpay/callbacks", {"order_no": "none"}, 404),
        ("POST", "unionpay/callbacks", {"order_no": "none", "count": 0}, 422),
        ("DELETE", "unionpay/faults", None, 204),
        ("GET", "health", None, 200),
    ],
)
async def test_each_call_has_its_status(
    sandbox: Sandbox, method: str, path: str, body: dict[str, object] | None, status: int
) -> None:
    assert (await sandbox.control(method, path, body))[0] == status


async def test_a_provider_without_callbacks_says_so(sandbox: Sandbox) -> None:
    order_no = sandbox.allinpay.number()
    await sandbox.allinpay.collect(order_no)
    status, answer = await sandbox.control("POST", "allinpay/callbacks", {"order_no": order_no})
    assert status == 422
    assert "no callbacks" in answer["error"]
