"""Cards of nobody, valid by Luhn."""

ICBC = "622202"
"""How the numbers of its cards begin."""
HOLDER = {"holder_name": "张三", "id_no": "11010519491231002X", "phone": "13800138000"}


def card_number(issuer: str, number: int, tail: str | None) -> str:
    """A card number of 19 digits, valid by Luhn."""
    if tail is None:
        first = f"{issuer}{number:09d}124"
        return next(f"{first}{digit}" for digit in range(10) if luhn_sum(f"{first}{digit}") == 0)
    first = f"{issuer}{number:08d}"
    return next(f"{first}{digit}{tail}" for digit in range(10) if luhn_sum(f"{first}{digit}{tail}") == 0)


def luhn_sum(digits: str) -> int:
    """0 for a valid number."""
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(value // 10 + value % 10 for value in doubled) % 10
