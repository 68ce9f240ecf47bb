"""Later prices in a catalogue file: as TOML's days or as texts, and the exact words for what is wrong with one.

Not here: what they mean (domain/test_prices), writing them down (test_catalogue_writing).
"""

from datetime import date
from pathlib import Path

import pytest

from gateway.catalogue_file import CatalogueFileError, read_catalogue
from gateway.domain.catalogue_content import MerchantContent
from gateway.domain.prices import MAX_PRICES, Price
from router.fees import FixedFee
from tests.unit.test_payout_rules_in_files import CHANNEL

AT = "merchants[0].rules[0]"


@pytest.fixture
def folder(tmp_path: Path, psp_keys: Path) -> Path:
    (tmp_path / "keys").symlink_to(psp_keys)
    return tmp_path


def read(folder: Path, fees: str, of_channel: str = "[]") -> MerchantContent:
    rule = f'[[merchants.rules]]\nchannel = "tl"\nscenes = "withhold"\nbanks = ["ICBC"]\nfee = 100\nfees = {fees}\n'
    path = folder / "catalogue.toml"
    path.write_text(f"{CHANNEL}authentication_fees = {of_channel}\n{rule}", encoding="utf-8")
    return read_catalogue(path, {}).merchants[0]


def problems(folder: Path, fees: str, of_channel: str = "[]") -> list[str]:
    with pytest.raises(CatalogueFileError) as caught:
        read(folder, fees, of_channel)
    return caught.value.problems


def test_later_prices_are_read_by_day_however_their_days_are_written(folder: Path) -> None:
    fees = '[{ effective_from = 2026-05-01, fee = 80 }, { effective_from = "2026-04-01", fee = 90 }]'
    merchant = read(folder, fees, "[{ effective_from = 2026-04-01, fee = 7 }]")
    assert merchant.rules[0].fees == (Price(date(2026, 4, 1), FixedFee(90)), Price(date(2026, 5, 1), FixedFee(80)))
    assert merchant.channels[0].authentication_fees == (Price(date(2026, 4, 1), 7),)


@pytest.mark.parametrize(
    ("fees", "said"),
    [
        (
            "[{ effective_from = 2026-04-01, fee = 9 }, { effective_from = 2026-04-01, fee = 8 }]",
            f"{AT}.fees: has two prices from 2026-04-01 on",
        ),
        ('[{ effective_from = "1 April", fee = 9 }]', f"{AT}.fees[0].effective_from: must be a day: 2026-04-01"),
        ('[{ effective_from = "2026-02-30", fee = 9 }]', f"{AT}.fees[0].effective_from: must be a day: 2026-04-01"),
        (
            "[{ effective_from = 2026-04-01T00:00:00+08:00, fee = 9 }]",
            f"{AT}.fees[0].effective_from: must be a day: 2026-04-01",
        ),
        ("[{ effective_from = 2026-04-01, fee = -1 }]", None),
        ("[{ effective_from = 2026-04-01 }]", f"{AT}.fees[0].fee: is missing"),
    ],
)
def test_what_is_wrong_with_a_price_is_told_at_its_place(folder: Path, fees: str, said: str | None) -> None:
    (told,) = problems(folder, fees)
    assert told == said if said else told.startswith(f"{AT}.fees[0].fee: ")


def test_there_are_not_too_many(folder: Path) -> None:
    days = ", ".join(f"{{ effective_from = {2000 + number}-01-01, fee = 1 }}" for number in range(MAX_PRICES + 1))
    assert problems(folder, f"[{days}]")[0].startswith(f"{AT}.fees: ")
