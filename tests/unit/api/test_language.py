"""Which language an `Accept-Language` header asks for."""

import pytest

from gateway.api.http.language import preferred_language


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("zh", "zh"),
        ("ZH-hans-CN", "zh"),
        ("zh-TW", "zh"),
        ("zh-TW,zh;q=0.9,en-US;q=0.8,en;q=0.7", "zh"),
        ("en", "en"),
        ("*", "en"),
        ("de, zh;q=0.5", "zh"),
        ("zh;q=0.8, en;q=0.9", "en"),
        ("zh, en", "zh"),
        ("en, zh", "en"),
        ("zh;q=0", "en"),
        ("zh;q=0, *", "en"),
        ("zh; q=0.7 , en ;q=0.3", "zh"),
        ("zh;q=x", "en"),
        ("zh;q=nan", "en"),
        ("zh;q=2", "en"),
        ("fr,de", "en"),
        (",;,=,", "en"),
        ("de," * 30 + "zh", "en"),
    ],
)
def test_the_header_chooses(header: str, language: str) -> None:
    assert preferred_language(header) == language
