"""What pages say: every text has its Chinese, and no Chinese is left over; times and amounts as people write them."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from gateway.pages.rendering import environment
from gateway.pages.wording import Language, Text, clock, said, yuan

GATEWAY = Path(__file__).parents[3] / "gateway"
ZONE = ZoneInfo("Asia/Shanghai")
EN: Language = "en"
ZH: Language = "zh"
WHERE = [("**/templates/**.html", "jinja2.ext.babel_extract"), ("**.py", "python")]
OPTIONS = {"**/templates/**.html": {"extensions": "jinja2.ext.i18n", "trimmed": "true", "silent": "false"}}
PLACE = re.compile(r"%\(\w+\)s|%%|%")


def in_use() -> set[str]:
    """Texts that templates and code say."""
    found = extract_from_dir(GATEWAY, WHERE, OPTIONS, keywords={"_": None, "gettext": None, "Text": None})
    return {message if isinstance(message, str) else message[0] for _, _, message, _, _ in found}


@pytest.fixture(scope="module")
def chinese() -> Catalog:
    with (GATEWAY / "pages" / "texts" / "zh.po").open("rb") as file:
        return read_po(file, locale="zh_Hans_CN")


def messages(catalogue: Catalog) -> Iterator[tuple[str, str]]:
    return ((str(message.id), str(message.string)) for message in catalogue if message.id)


def test_every_text_is_in_chinese_and_no_chinese_is_left_over(chinese: Catalog) -> None:
    translated = {text for text, meant in messages(chinese) if meant}
    used = in_use()
    assert len(used) > 20
    assert used - translated == set(), "said, and not translated"
    assert translated - used == set(), "translated, and said nowhere"
    assert not chinese.obsolete
    assert not any(message.fuzzy for message in chinese if message.id)


def test_a_translation_has_the_places_of_its_text_and_chinese_marks(chinese: Catalog) -> None:
    for text, meant in messages(chinese):
        assert sorted(PLACE.findall(text)) == sorted(PLACE.findall(meant)), text
        plain = PLACE.sub("", meant)
        assert not re.search(r"[A-Za-z]{2,}|[,;?!]|\.$", plain), meant


def test_texts_come_in_the_language_that_is_asked_for_and_their_values_are_escaped() -> None:
    assert (said(Text("Paid"), EN), said(Text("Paid"), ZH)) == ("Paid", "支付成功")
    for language in (EN, ZH):
        template = environment(language).from_string('{{ _("Please pay before %(time)s.", time=time) }}')
        assert "&lt;b&gt;" in template.render(time="<b>")


@pytest.mark.parametrize(
    ("fen", "shown"),
    [(1, "0.01"), (29, "0.29"), (100, "1.00"), (123456, "1,234.56"), (10**15, "10,000,000,000,000.00"), (0, "0.00")],
)
def test_amounts_are_exact(fen: int, shown: str) -> None:
    assert yuan(fen) == f"¥\N{NO-BREAK SPACE}{shown}"


def test_a_negative_amount_has_its_sign_in_front() -> None:
    assert yuan(-1050) == "-¥\N{NO-BREAK SPACE}10.50"


@pytest.mark.parametrize(
    ("moment", "english", "chinese"),
    [
        (datetime(2026, 12, 31, 15, 59, tzinfo=UTC), "23:59", "23:59"),
        (datetime(2026, 12, 31, 16, 0, tzinfo=UTC), "Jan 1, 2027 00:00", "2027年1月1日 00:00"),
        (datetime(2026, 11, 30, 15, 0, tzinfo=UTC), "Nov 30 23:00", "11月30日 23:00"),
    ],
)
def test_a_time_has_its_day_where_that_is_another_one_there(moment: datetime, english: str, chinese: str) -> None:
    seen = datetime(2026, 12, 30, 16, 0, tzinfo=UTC)  # the last day of the year in Shanghai
    assert (clock(moment, seen, ZONE, EN), clock(moment, seen, ZONE, ZH)) == (english, chinese)
