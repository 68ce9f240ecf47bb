"""Every limit that there is, unnamed, on its way from a catalogue file to the router, the terminal and the admin API.

Whoever adds a limit adds nothing here. What each of them does is tested in tests/unit/router.
"""

import base64
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.catalogue_file import read_catalogue
from gateway.domain.scenes import Scene
from gateway.flows.route import Payer, candidates_for
from gateway.objects.catalogue import AccountNotes, catalogue_object, channel_object, rule_object
from gateway.run.show import catalogue_lines
from gateway.storage.catalogue.store import CatalogueStore
from gateway.storage.keys import KeyRing
from router.limits import ChannelLimits, Limits, RuleLimits

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
FILE = """
[[merchants]]
code = "shop"
name = "Shop"

[[merchants.accounts]]
code = "tl"
provider = "allinpay"
settings = { url = "http://127.0.0.1/x", user_name = "u", merchant_id = "1" }

[merchants.accounts.secrets]
user_pass = "p"
merchant_private_key = { file = "keys/allinpay/merchant.key.pem" }
psp_certificate = { file = "keys/allinpay/psp.cert.pem" }

[[merchants.channels]]
code = "tl"
account = "tl"
name = "TL"
authentication = { "*" = "none" }
CHANNEL_LIMITS

[[merchants.rules]]
channel = "tl"
scenes = "withhold"
banks = "ICBC"
fee = 1
RULE_LIMITS
"""


def _written(limits: Mapping[str, int]) -> str:
    return "\n".join(f"{name} = {limit}" for name, limit in limits.items())


def _one_of_each(kind: type[Limits], first: int) -> dict[str, int]:
    return {limit.name: first + number for number, limit in enumerate(kind.each())}


async def test_every_limit_goes_from_the_file_to_the_router_the_terminal_and_the_admin_api(
    engine: AsyncEngine, tmp_path: Path, psp_keys: Path
) -> None:
    of_rule, of_channel = _one_of_each(RuleLimits, 101), _one_of_each(ChannelLimits, 501)
    (tmp_path / "keys").symlink_to(psp_keys)
    text = FILE.replace("CHANNEL_LIMITS", _written(of_channel)).replace("RULE_LIMITS", _written(of_rule))
    (tmp_path / "file.toml").write_text(text)

    store = CatalogueStore(engine, KeyRing.parse(f"1:{base64.b64encode(os.urandom(32)).decode()}"))
    await store.apply(read_catalogue(tmp_path / "file.toml", {}), "test", "a file", NOW)
    catalogue = await store.load()

    (merchant_id,) = catalogue.merchants
    (candidate,) = candidates_for(catalogue, merchant_id, Scene.WITHHOLD, "ICBC", Payer(), NOW)
    assert candidate.limits == RuleLimits(**of_rule)
    assert candidate.channel_limits == ChannelLimits(**of_channel)
    (rule,) = catalogue.rules_for(merchant_id, Scene.WITHHOLD, "ICBC")
    assert rule_object(rule).items() >= of_rule.items()
    assert channel_object(catalogue, catalogue.channels[merchant_id, "tl"], NOW).items() >= of_channel.items()
    shown = "\n".join(
        catalogue_lines(catalogue_object(catalogue, {}, [], NOW, AccountNotes(lambda _: (), lambda _: None)))
    )
    assert all(f"{name} {limit}" in shown for name, limit in (of_rule | of_channel).items())
