"""Tables of what no field may be: field → values."""

from typing import Any

GONE = object()
"""The field is left out."""
CARD_NO = "6222020000000001230"
OTHERS_CARD, NO_PAYMENT = "card_01h2xcejqtf2nbrexx3vqjhp41", "pay_01h2xcejqtf2nbrexx3vqjhp41"
HUGE = 10**30
NUL, SURROGATE = "a\u0000b", "a\ud800b"
WRONG_KEYS = [{"": 1}, {"a" * 41: 1}, {f"k{number}": 1 for number in range(51)}]
NO_DIGITS = ["x" * 19, "٦٢٢٢٠٢٠٠٠٠٠٠٠٠٠١٢٣٠", "6222-0200-0000-0001-230", NUL]

PAYMENT: dict[str, list[Any]] = {
    "merchant_order_no": [GONE, None, 1, True, [], {}, "", " ", "a b", "号", "x" * 65, NUL, SURROGATE],
    "scene": [GONE, None, 1, "", "withholding", "WITHHOLD", ["withhold"], NUL],
    "user_id": [GONE, None, 1, "", " ", "u ", "x" * 65, "a\nb", NUL, SURROGATE],
    "amount": [GONE, None, "100", 1.5, 1e300, True, 0, -1, 10**10 + 1, HUGE, [1]],
    "currency": [GONE, None, "USD", "cny", "", 156],
    "card": [GONE, None, CARD_NO, [], 1],
    "card_id": [1, "", "card_1", NO_PAYMENT, NUL, OTHERS_CARD],
    "bank": [1, "", "icbc", "NOSUCHBANK", "工商银行", "X" * 21],
    "customer_present": [1, "true", ""],
    "description": [1, "x" * 256, "a\nb", NUL, SURROGATE],
    "metadata": [1, [], "x", {"a": {}}, {"a": [1]}, {"a": 1.5}, {"a": "x" * 501}, {"a": HUGE}, *WRONG_KEYS],
    "return_url": [1, "", "example.com", "ftp://example.com", "javascript:alert(1)", "https://x/" + "y" * 512],
    "expires_in_s": [0, -1, 59, 7 * 86_400 + 1, "60", 60.5, HUGE],
    "no_such_field": [1],
    "card.card_no": [GONE, None, 1, int(CARD_NO), "", "62220200", "6" * 20, *NO_DIGITS],
    "card.holder_name": [GONE, None, 1, "", " ", "x" * 65, "张\n三", NUL, SURROGATE],
    "card.id_no": [GONE, None, 1, "", "11010519491331002X", "110105491331002"],
    "card.phone": [GONE, None, 13800138000, "", "1380013800", "138001380000", "+8613800138000", "23800138000"],
    "card.cvv2": ["123"],
}

MALFORMED = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"1",
    b'"text"',
    b"{]",
    b'{"amount": NaN}',
    b'{"amount": Infinity}',
    b'{"amount": 1, "amount": 2}',
    b"\xff\xfe",
    b"\x00",
    b'{"a": 1} trailing',
    b"[" * 60_000,
    b'{"a":' * 10_000,
    b"{'merchant_order_no': 'x'}",
]

IDS = ["x", "pay_1", "pay_" + "z" * 26, OTHERS_CARD, NO_PAYMENT, CARD_NO, "%00", "%F0%9F"]

QUERIES: dict[str, dict[str, list[str]]] = {
    "/v1/payments": {
        "limit": ["0", "-1", "201", "x", "1.5", "", "9" * 30, "%00"],
        "status": ["", "paid", "SUCCEEDED", "%00"],
        "after": ["", "x", "evt_01h2xcejqtf2nbrexx3vqjhp41"],
        "created_from": ["", "today", "2026-01-01", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00"],
        "created_until": ["x", "1", "2026-01-01T25:00:00Z"],
        "channel": ["", "%20", "x" * 65, "%00"],
        "user_id": ["", "x" * 65, "a%0Ab", "%00"],
        "merchant_order_no": ["", "a%20b", "x" * 73],
        "no_such": ["1"],
    },
    "/v1/events": {
        "limit": ["0", "201", "x"],
        "object_id": ["", "x", "%00"],
        "type": ["", "payment", "%00"],
        "after": ["x", NO_PAYMENT],
        "no_such": ["1"],
    },
}

GOOD_QUESTION = {"user_id": "u", "scene": "withhold", "amount": 100, "bank": "ICBC"}
QUESTION: dict[str, list[Any]] = {
    "user_id": [GONE, None, 1.5, "", [], HUGE, NUL],
    "scene": [GONE, None, 1.5, "", [], HUGE, NUL],
    "amount": [GONE, None, 1.5, "", [], HUGE, NUL, 0, -1],
    "bank": [GONE, None, 1.5, "", [], HUGE, NUL, "NOSUCHBANK"],
    "currency": [None, "USD"],
    "what_if": [1, "", []],
    "no_such": [1],
}

DOUBLE = {"type": "percent", "rate": "2"}
RULE = {"channel": "a", "scene": "withhold", "bank": "ICBC", "fee": {"type": "fixed", "amount": 1}}


def _rules(name: str, *values: Any) -> list[Any]:
    return [{"rules": [RULE | {name: value}]} for value in values]


WHAT_IF: dict[str, list[Any]] = {
    "what_if.now": [{"now": "today"}],
    "what_if.rules": [{"rules": {}}, {"rules": [1]}],
    "what_if.rules.1": [{"rules": [RULE, RULE]}],
    "what_if.rules.0.fee": _rules("fee", -1, "1", {}, {"type": "x"}, DOUBLE, None),
    "what_if.rules.0.single_limit": _rules("single_limit", -1, "1", 1.5, HUGE),
    "what_if.rules.0.priority": _rules("priority", 2**31, "1", 0.5),
    "what_if.rules.0.scene": _rules("scene", "x", None),
    "what_if.facts": [
        {"facts": []},
        {"facts": {"a": {"used_today": -1}}},
        {"facts": {"a": {"last_attempt": {"status": "paid"}}}},
    ],
    "what_if.no_such": [{"no_such": 1}],
}


def _changes(name: str, *values: Any) -> list[Any]:
    return [{name: value} for value in values]


def _limits(*values: Any) -> list[Any]:
    return [{"fee": 1, "daily_limit": value} for value in values]


def _windows(*values: Any) -> list[Any]:
    return [{"fee": 1, "windows": value} for value in values]


TIME = "2026-01-01T00:00:00Z"
OVER_NIGHT, NIGHT = {"opens": "22:00", "closes": "06:00"}, {"opens": "22:00", "closes": "24:00"}
PAYOUTS = "/payout_rules/personal/*"
WINDOWS, RULES = "/maintenance_windows", "/rules/withhold/ICBC"
ADMIN: dict[tuple[str, str, str], list[Any]] = {
    ("PATCH", "", "on"): _changes("on", 1, "true", []),
    ("PATCH", "", "name"): _changes("name", 1, "", "x" * 101, NUL, SURROGATE),
    ("PATCH", "", "authentication_fee"): _changes("authentication_fee", -1, "1", 1.5, HUGE),
    ("PATCH", "", "daily_total"): _changes("daily_total", 0, -1, "1", HUGE),
    ("PATCH", "", "authentication"): _changes("authentication", {}, [], {"*": "x"}, {"X1": "none"}),
    ("PATCH", "", "no_such"): _changes("no_such", 1),
    ("POST", WINDOWS, "starts_at"): [{}, {"starts_at": "today", "ends_at": TIME}],
    ("POST", WINDOWS, "ends_at"): [{"starts_at": TIME, "ends_at": TIME}, {"starts_at": TIME, "ends_at": 1}],
    ("PUT", RULES, "fee"): [{}, *_changes("fee", -1, "1", DOUBLE, {}, None)],
    ("PUT", RULES, "daily_limit"): _limits(0, -1, "1", HUGE),
    ("PUT", "/rules/custody_withhold/ICBC", "scene"): [{"fee": 1}],
    ("PUT", PAYOUTS, "fee"): [{}, *_changes("fee", -1, "1", DOUBLE, {}, None)],
    ("PUT", PAYOUTS, "daily_limit"): _limits(0, -1, "1", HUGE),
    ("PUT", PAYOUTS, "windows"): _windows([], {}, [1], [{}], [{"opens": "08:30", "closes": 17}], [OVER_NIGHT]),
    ("PATCH", PAYOUTS, "windows"): _windows([OVER_NIGHT], [NIGHT | {"days": "mon"}], [NIGHT, NIGHT], [NIGHT] * 51),
}
"""By method, address below a channel, and the field that must be named: bodies."""
