from tests.storage.reconciling_desk import *
import time
from tests.storage.test_comparing import desk, Line, at, counted
from tests.storage.reconciling_desk import MERCHANT
async def test_quick(desk):
    N=100_000
    await desk.connection.execute("""INSERT INTO intents (merchant_id, object_id, verb, ordinal, intent_id, channel, account, number, told_at, recorded_at,
    amount, state, questions, acknowledged, not_found, channel_finished_at, late_success, looks, ended_at)
    SELECT $1, md5('o'||n)::uuid,'pay',1,gen_random_uuid(),'up','up-1','n'||n,$2,$2,100,'done',0,false,0,NULL,false,0,$2 FROM generate_series(1,100000) n""", MERCHANT, at("10:00"))
    await desk.connection.execute("ANALYZE intents")
    t=time.monotonic(); d=await desk.compares(0, (Line(f"n{n}",100) for n in range(1,N)))
    print("seconds", time.monotonic()-t, counted(d))
