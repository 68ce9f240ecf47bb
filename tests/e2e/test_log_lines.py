"""Lines of the log that a loaded system writes are as the index template says: their fields, and their values' types.

Not here: lines that nothing in this story makes (tests/unit/test_log_template.py finds their fields in the source).
"""

import io
from typing import Any

import orjson

from tests.e2e.waiting import until
from tests.e2e.world import World
from tests.log_template import misfits

ALWAYS = ["@timestamp", "log.level", "message", "ecs.version", "service.name"]
NO_BALANCE_TAIL = "3008"


def lines(written: io.StringIO) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in written.getvalue().splitlines()]


async def test_each_line_of_a_loaded_system_fits_the_index_template(world: World, written: io.StringIO) -> None:
    app = await world.merchant()
    lost = world.order(world.cheap())
    await world.fault("allinpay", "reset_after", lost["amount"])
    declined = await app.pay_to_the_end(world.order(world.cheap(), card=world.card(tail=NO_BALANCE_TAIL)))
    paid = await app.pay_to_the_end(lost)
    assert [declined["status"], paid["status"]] == ["failed", "succeeded"]
    await app.call("POST", "/v1/withholds", {"amount": "much"})
    await app.call("GET", f"/v1/payments/{paid['id']}")
    await world.call("POST", f"{world.gateway}/callbacks/demo.unionpay_main", b"orderId=1")
    endpoints = f"/merchants/{await world.code_of(app)}/endpoints"
    await world.admin("POST", f"{endpoints}/loans/stop", {"by": "li", "note": "moving"})

    async def look() -> list[dict[str, Any]] | None:
        found = lines(written)
        wanted = {"request finished", "callback rejected", "catalogue in force", "endpoint stopped: li: moving"}
        return found if wanted <= {line["message"] for line in found} else None

    found = await until(look, "line of each kind")
    assert {line["sluice.code"] for line in found if "sluice.code" in line} >= {"invalid_request"}
    assert [list(line)[:5] for line in found] == [ALWAYS] * len(found)
    assert [line for line in found if "log.logger" not in line] == []
    assert {misfit for line in found for misfit in misfits(line)} == set()
