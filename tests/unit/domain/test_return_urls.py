"""Where payers are sent back to: whose host it is, as browsers read it, and the address with the payment's id."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.return_urls import ReturnUrlError, check_return_url, host_in_one_form, with_payment

HOSTS = frozenset({"shop.example", "shop.example:8443"})


@pytest.mark.parametrize(
    "allowed",
    [
        "https://shop.example/b?o=7#/done",
        "HTTPS://SHOP.EXAMPLE/",
        "https://shop.example./",
        "https://shop.example:443/",
        "https://shop.example:8443/back",
        "https://shop.example/@evil.test/",
    ],
)
def test_the_hosts_of_the_app_are_allowed_however_they_are_written(allowed: str) -> None:
    check_return_url(allowed, HOSTS, production=True)


@pytest.mark.parametrize(
    "foreign",
    [
        "https://shop.example.evil.test/",
        "https://shop.example@evil.test/",
        "https://evil.test/?shop.example",
        "https://evil.test#shop.example",
        "https://shop.example:8444/",
        "https://sub.shop.example/",
        "https://user:word@shop.example/",
        "//evil.test",
        "//shop.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "http:",
        "http://shop.example/",
        "https://",
        "",
        "https://127.0.0.1/",
        "http://localhost:8070/",
    ],
)
def test_all_others_are_refused(foreign: str) -> None:
    with pytest.raises(ReturnUrlError):
        check_return_url(foreign, HOSTS, production=True)


@pytest.mark.parametrize("here", ["http://localhost:8070/", "http://127.0.0.1/x", "http://[::1]:1/", "http://127.1/"])
def test_outside_of_production_http_to_this_machine_will_do(here: str) -> None:
    check_return_url(here, frozenset(), production=False)


def test_it_says_what_to_do_about_a_foreign_host() -> None:
    with pytest.raises(ReturnUrlError, match="return_hosts"):
        check_return_url("https://other.example/", HOSTS, production=False)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Shop.Example", "shop.example"),
        ("shop.example.", "shop.example"),
        ("shop.example:443", "shop.example"),
        ("shop.example:8443", "shop.example:8443"),
        ("商店.example", "xn--czrs0t.example"),
    ],
)
def test_a_host_has_one_form(text: str, host: str) -> None:
    assert host_in_one_form(text) == host


@pytest.mark.parametrize(
    "text", ["", "shop.example/path", "a@shop.example", "shop.example?x", "https://shop.example", "a b"]
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        host_in_one_form(text)


@pytest.mark.parametrize(
    ("address", "with_it"),
    [
        ("https://shop.example/b?o=7&payment=x#/done", "https://shop.example/b?o=7&payment=pay_1#/done"),
        ("https://shop.example", "https://shop.example?payment=pay_1"),
        ("https://shop.example/#", "https://shop.example/?payment=pay_1#"),
        ("https://shop.example/?", "https://shop.example/?payment=pay_1"),
        ("https://shop.example/?payment=a&payment=b", "https://shop.example/?payment=pay_1"),
        ("https://shop.example/?p%61yment=a&x", "https://shop.example/?x&payment=pay_1"),
        ("https://shop.example/?a=%E4%BD%A0&b=?c", "https://shop.example/?a=%E4%BD%A0&b=?c&payment=pay_1"),
        ("https://shop.example/?repayment=1", "https://shop.example/?repayment=1&payment=pay_1"),
    ],
)
def test_the_payment_stands_once_before_the_fragment_and_the_rest_stays(address: str, with_it: str) -> None:
    assert with_payment(address, "pay_1") == with_it


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40))
def test_whatever_the_address_it_has_one_payment_and_the_same_fragment(tail: str) -> None:
    address = f"https://shop.example/{tail}"
    changed = with_payment(address, "pay_1")
    assert changed.partition("#")[2] == address.partition("#")[2]
    assert changed.partition("#")[0].partition("?")[2].split("&").count("payment=pay_1") == 1
    assert with_payment(changed, "pay_1") == changed
