"""Settings that cannot be used are refused in a sentence that names them. Not tested here: what each of them does."""

import base64
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from gateway.run.development import with_ports
from gateway.run.keys import key_environment, keys_of
from gateway.run.local import LocalError, with_local_secrets
from gateway.settings import ADMIN_TOKEN_MIN, SAMPLE_ADMIN_TOKEN, Settings, setting_problem, unknown_variables
from gateway.storage.keys import KeyRingError

RING = "1:" + base64.b64encode(bytes(32)).decode()


def refusal(monkeypatch: pytest.MonkeyPatch, **given: str) -> str:
    for name, value in given.items():
        monkeypatch.setenv(f"SLUICE_{name.upper()}", value)
    with pytest.raises(ValidationError) as refused:
        Settings()
    return str(refused.value.errors(include_url=False, include_input=False)[0]["msg"])


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("SLUICE_DATABSE_URL", "SLUICE_DATABASE_URL"),
        ("SLUICE_DB_URL", "SLUICE_DATABASE_URL"),
        ("SLUICE_DATABASEURL", "SLUICE_DATABASE_URL"),
        ("sluice_prot", "SLUICE_PORT"),
        ("SLUICE_POOLSIZE", "SLUICE_POOL_SIZE"),
        ("SLUICE_LOGLEVEL", "SLUICE_LOG_LEVEL"),
        ("SLUICE_TIMEZONE", "SLUICE_BUSINESS_TIMEZONE"),
        ("SLUICE_CARD_KEY", "SLUICE_CARD_KEYS"),
        ("SLUICE_ORDER_KEYS", "SLUICE_ORDER_KEY"),
        ("SLUICE_ADMIN_TOKEN_", "SLUICE_ADMIN_TOKEN"),
        ("SLUICE_MAX_WAIT", "SLUICE_MAX_WAITING"),
        ("SLUICE_ANSWER_WITHIN", "SLUICE_ANSWER_WITHIN_S"),
        ("SLUICE_METRIC_PORT", "SLUICE_METRICS_PORT"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_right_one(
    monkeypatch: pytest.MonkeyPatch, misspelt: str, meant: str
) -> None:
    said = refusal(monkeypatch, **{misspelt.upper().removeprefix("SLUICE_"): "hidden"})
    assert said.endswith(f"{misspelt.upper()}: there is no such setting; is {meant} meant?")
    assert "hidden" not in said
    assert unknown_variables([misspelt]) == {misspelt: meant}


@pytest.mark.parametrize("known", ["SLUICE_PORT", "sluice_port", "SLUICE_METRICS_PORT", "SLUICE_SANDBOX_KEYS"])
def test_a_name_that_some_command_knows_is_taken(known: str) -> None:
    assert not unknown_variables([known, "SLUICE_HUNT_KILLS", "SLUICE_WRITE_SQL", "SLUICE_BENCH_PSP_KEY", "HOME"])


def test_a_variable_of_a_catalogue_file_may_begin_as_settings_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_UNIONPAY_CERTIFICATE", "x")
    assert Settings()
    assert unknown_variables(["SLUICE_UNIONPAY_CERTIFICATE"]) == {"SLUICE_UNIONPAY_CERTIFICATE": None}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PORT", "abc", "SLUICE_PORT: must be a whole number; docs/operations.md has"),
        ("PORT", "70000", "SLUICE_PORT: must be at most 65535; docs/operations.md has"),
        ("PORT", "1.5", "SLUICE_PORT: must be a whole number; docs/operations.md has"),
        ("POOL_SIZE", "1", "SLUICE_POOL_SIZE: must be at least 2; docs/operations.md has"),
        ("ANSWER_WITHIN_S", "soon", "SLUICE_ANSWER_WITHIN_S: must be a number; docs/operations.md has"),
        ("ANSWER_WITHIN_S", "0", "SLUICE_ANSWER_WITHIN_S: must be above 0; docs/operations.md has"),
        (
            "LOG_LEVEL",
            "loud",
            "SLUICE_LOG_LEVEL: must be 'debug', 'info', 'warning' or 'error'; docs/operations.md has",
        ),
        ("ENV", "prod", "SLUICE_ENV: must be 'development' or 'production'; docs/operations.md has"),
    ],
)
def test_a_wrong_value_is_refused_with_its_variable_and_what_it_must_be(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(f"SLUICE_{name}", value)
    with pytest.raises(ValidationError) as refused:
        Settings()
    (problem,) = refused.value.errors(include_url=False, include_input=False)
    assert setting_problem(problem).startswith(says)


@pytest.mark.parametrize("zone", ["Mars", "Asia", "../etc", "/etc/hosts", ""])
def test_an_unknown_time_zone_is_named(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    said = refusal(monkeypatch, business_timezone=zone)
    assert f"there is no time zone {zone}; use a name such as Asia/Shanghai" in said


@pytest.mark.parametrize("url", ["mysql://x", "postgres://host/sluice", "host/sluice", ""])
def test_a_database_that_is_not_postgresql_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    assert "must begin with postgresql://" in refusal(monkeypatch, database_url=url)


def test_a_database_url_that_cannot_be_read_is_refused_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal(monkeypatch, database_url="postgresql://user:hidden@host:door/sluice")
    assert "postgresql://user:password@host:5432/database" in said
    assert "hidden" not in said


@pytest.mark.parametrize("url", ["pay.example.com", "ftp://pay.example.com", "https://", "http://host:door", "/pay"])
def test_a_public_url_is_a_web_address(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    assert "must be an http or https URL" in refusal(monkeypatch, public_url=url)


@pytest.mark.parametrize("token", ["", "x" * (ADMIN_TOKEN_MIN - 1), SAMPLE_ADMIN_TOKEN])
def test_production_wants_a_long_admin_token_and_says_how_to_make_one(
    monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    said = refusal(monkeypatch, env="production", admin_token=token, card_keys=RING)
    assert "SLUICE_ADMIN_TOKEN: production needs" in said
    assert "at least 32 characters; make one with: head -c 32 /dev/urandom" in said


def test_production_wants_an_order_key_by_name_and_says_how_to_make_one(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal(monkeypatch, env="production", admin_token="x" * ADMIN_TOKEN_MIN, card_keys=RING)
    assert "SLUICE_ORDER_KEY: production needs" in said
    assert "never changes; make one with: head -c 32 /dev/urandom | base64" in said


def test_an_empty_primary_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_CARD_PRIMARY", "")
    assert Settings().card_primary is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"card_keys": None}, "SLUICE_CARD_KEYS is not set"),
        ({"order_key": None}, "SLUICE_ORDER_KEY is not set.*make one with"),
        ({"card_primary": 2}, "SLUICE_CARD_PRIMARY: key 2 is not in the ring, which has 1: name one of these, or add"),
        ({"order_key": SecretStr("x")}, "SLUICE_ORDER_KEY"),
    ],
)
def test_keys_that_cannot_be_used_are_refused_by_the_setting_that_is_wrong(
    change: dict[str, object], says: str
) -> None:
    good = Settings(card_keys=SecretStr(RING), order_key=SecretStr(RING.partition(":")[2]))
    assert keys_of(good).ring.primary == 1
    with pytest.raises(KeyRingError, match=says):
        keys_of(good.model_copy(update=change))


def test_a_child_process_gets_the_keys_and_the_primary_of_its_parent() -> None:
    settings = Settings(card_keys=SecretStr(RING), order_key=SecretStr("key"), card_primary=1)
    expected = {"SLUICE_CARD_KEYS": RING, "SLUICE_CARD_PRIMARY": "1", "SLUICE_ORDER_KEY": "key"}
    assert key_environment(settings) == expected
    assert key_environment(settings.model_copy(update={"card_primary": None}))["SLUICE_CARD_PRIMARY"] == ""


def test_outside_of_production_the_data_folder_keeps_the_keys(tmp_path: Path) -> None:
    made = with_local_secrets(Settings(data_dir=tmp_path))
    again = with_local_secrets(Settings(data_dir=tmp_path))
    assert keys_of(again).order.request_hash(b"body") == keys_of(made).order.request_hash(b"body")
    assert {path.name: oct(path.stat().st_mode)[-3:] for path in tmp_path.iterdir()} == {
        "card.keys": "600",
        "order.key": "600",
    }
    given = with_local_secrets(Settings(data_dir=tmp_path / "other", order_key=SecretStr("mine")))
    assert given.order_key == SecretStr("mine")
    assert not (tmp_path / "other" / "order.key").exists()


def test_good_settings_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "ENV": "production",
        "ADMIN_TOKEN": "x" * ADMIN_TOKEN_MIN,
        "CARD_KEYS": RING,
        "CARD_PRIMARY": "1",
        "ORDER_KEY": RING.partition(":")[2],
        "DATABASE_URL": "postgresql+asyncpg://user:p%40ss@[::1]:5433/sluice",
        "PUBLIC_URL": "https://pay.example.com/gateway/",
        "BUSINESS_TIMEZONE": "UTC",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"SLUICE_{name}", value)
    assert Settings().callback_base == "https://pay.example.com/gateway"


def test_two_equal_ports_are_said_before_anything_starts() -> None:
    with pytest.raises(LocalError, match="SLUICE_PORT and SLUICE_RECEIVER_PORT are both 8001"):
        with_ports(Settings(port=8001, sandbox_port=0, receiver_port=8001))


def test_zero_may_be_asked_for_more_than_once() -> None:
    taken = with_ports(Settings(port=0, sandbox_port=0, receiver_port=0))
    assert 0 not in (taken.port, taken.sandbox_port, taken.receiver_port)
