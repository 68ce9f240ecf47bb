"""Payees under keys: sealed for one payout alone, rewrapped by a rotation, and counted before a key may leave."""

from collections import Counter
from dataclasses import dataclass, field, replace
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.domain.payees import Payee, PayeeType
from gateway.ports import OverloadedError
from gateway.storage.keys import DecryptionError, KeyRing, Keys, PayeeBox
from gateway.storage.reading.key_use import key_use
from gateway.storage.writing.payout_books import PayoutStore
from gateway.storage.writing.rewrap_payees import RewrapPayees
from tests.keys import new_keys
from tests.storage.gateway_process import Process
from tests.unit.domain.samples import LENDER, MERCHANT_ID, catalogue, channel, rule


@dataclass
class Count:
    payouts: int = 0
    missing: Counter[int] = field(default_factory=Counter)


@pytest.mark.parametrize("payee", [LENDER, replace(LENDER, type=PayeeType.PERSONAL, branch=None, city=None)])
def test_a_payee_opens_in_its_own_payout_alone(payee: Payee) -> None:
    ring, payout_id = new_keys().ring, uuid4()
    box, wrapped = PayeeBox.new(ring, MERCHANT_ID, payout_id)
    sealed, code = box.seal(payee), box.seal_continuation("123456")
    assert PayeeBox.of(ring, MERCHANT_ID, payout_id, wrapped).open(sealed) == payee
    assert box.open_continuation(code) == "123456"
    other, _ = PayeeBox.new(ring, MERCHANT_ID, uuid4())
    for open_it in (lambda: other.open(sealed), lambda: box.open(code), lambda: box.open_continuation(sealed)):
        with pytest.raises(DecryptionError):
            open_it()
    with pytest.raises(DecryptionError):
        PayeeBox.of(ring, MERCHANT_ID, uuid4(), wrapped)


async def test_a_rotation_rewraps_payees_and_then_their_old_key_may_leave(engine: AsyncEngine) -> None:
    old = new_keys()
    process = Process(engine, old, catalogue((channel("up"),), (rule("up"),)))
    payouts = [(await process.pay_out(100)).payout for _ in range(3)]
    (first,) = old.ring.keys
    assert (await key_use(engine))[first].payouts == 3
    two = KeyRing({**old.ring.keys, first + 1: new_keys().ring.keys[1]}, first + 1)
    count = Count()
    await RewrapPayees(process.database, Keys(two, old.order)).all(MERCHANT_ID, count)
    assert (count.payouts, count.missing) == (3, Counter())
    use = await key_use(engine)
    assert (first in use, use[first + 1].payouts) == (False, 3)
    new = KeyRing({first + 1: two.keys[first + 1]}, first + 1)
    store = PayoutStore(process.database, Keys(new, old.order))
    assert await store.payee(MERCHANT_ID, payouts[0].payout_id) == LENDER
    with pytest.raises(OverloadedError):
        await process.payouts.payee(MERCHANT_ID, payouts[0].payout_id)
    again = Count()
    await RewrapPayees(process.database, old).all(MERCHANT_ID, again)
    assert (again.payouts, again.missing) == (0, Counter({first + 1: 3}))
