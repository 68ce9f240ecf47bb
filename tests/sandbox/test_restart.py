"""What a sandbox still knows after it was stopped and started on the same folder, and what its files may not hold.

Does not test a crash of the machine: the journal is not synced to disk.
"""

import json
import shutil
from pathlib import Path

import pytest

from sandbox.app import SandboxConfig, build_app
from sandbox.journal import JournalUnreadableError
from sandbox.keys import KeysUnreadableError
from sandbox.mocks import prepare_keys
from tests.sandbox.conftest import Start
from tests.sandbox.merchants import CARD, Mailbox


async def test_orders_tokens_and_counts_are_found_again(start: Start, tmp_path: Path) -> None:
    before = await start(data_dir=tmp_path)
    merchant = before.unionpay
    token, order_no = await merchant.open(), merchant.number()
    await merchant.send(merchant.withholding(order_no))
    await merchant.send(merchant.withholding(order_no))
    final = await before.final("unionpay", order_no)
    collected = before.allinpay.number()
    await before.allinpay.collect(collected)
    await before.stop()

    after = await start(data_dir=tmp_path)
    assert await after.order("unionpay", order_no) == final
    assert final["submissions"] == 2
    assert await after.allinpay.query(collected) == ["0000", "0000"]
    merchant = after.unionpay
    assert (await merchant.send(merchant.consuming("afterrestart1", token)))["respCode"] == "00"
    assert (await merchant.send(merchant.withholding("afterrestart2")))["respCode"] == "00"


async def test_an_order_that_was_open_becomes_final_and_is_notified_after_the_restart(
    start: Start, tmp_path: Path, mailbox: Mailbox
) -> None:
    before = await start(data_dir=tmp_path, processing_delay_s=0.3)
    await before.unionpay.open()
    order_no = before.unionpay.number()
    await before.unionpay.send(before.unionpay.withholding(order_no, back_url=mailbox.url))
    await before.stop()
    assert mailbox.arrived == []

    after = await start(data_dir=tmp_path)
    [notice] = await mailbox.wait_for(1)
    after.unionpay.believe(notice)
    assert (await after.final("unionpay", order_no))["state"] == "succeeded"


async def test_a_torn_last_line_is_dropped_and_any_other_is_an_error(start: Start, tmp_path: Path, keys: Path) -> None:
    before = await start(data_dir=tmp_path)
    collected = before.allinpay.number()
    await before.allinpay.collect(collected)
    await before.stop()
    journal = tmp_path / "allinpay.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"order":{"ord')
    after = await start(data_dir=tmp_path)
    assert await after.order("allinpay", collected) is not None
    await after.stop()
    assert journal.read_bytes() == whole
    journal.write_bytes(b"{}}\n" + whole)
    with pytest.raises(JournalUnreadableError, match="line 1"):
        build_app(SandboxConfig(data_dir=tmp_path, keys_dir=keys))


async def test_no_file_holds_a_card_number_a_name_or_a_phone(start: Start, tmp_path: Path) -> None:
    sandbox = await start(data_dir=tmp_path)
    await sandbox.unionpay.open()
    await sandbox.unionpay.send(sandbox.unionpay.withholding(sandbox.unionpay.number()))
    await sandbox.allinpay.collect(sandbox.allinpay.number())
    await sandbox.stop()
    written = b"".join((tmp_path / f"{provider}.jsonl").read_bytes() for provider in ("unionpay", "allinpay"))
    assert b"622202******7890" in written
    for secret in (CARD, "张三", "13800001111", "110101199003070011"):
        assert secret.encode() not in written
        assert json.dumps(secret).strip('"').encode() not in written


def test_keys_are_made_once_and_private(tmp_path: Path) -> None:
    first = prepare_keys(tmp_path)
    again = prepare_keys(tmp_path)
    assert first["unionpay"].mer_id == again["unionpay"].mer_id
    assert first["unionpay"].psp.cert_id == again["unionpay"].psp.cert_id
    assert len(first["unionpay"].mer_id) == 15
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("*/*.key.pem")} == {0o600}
    assert first["allinpay"].user_pass not in repr(first["allinpay"])


def test_a_missing_key_is_named(tmp_path: Path, keys: Path) -> None:
    shutil.copytree(keys, tmp_path / "keys")
    (tmp_path / "keys" / "unionpay" / "psp.key.pem").unlink()
    with pytest.raises(KeysUnreadableError, match=r"psp\.key\.pem"):
        prepare_keys(tmp_path / "keys")
