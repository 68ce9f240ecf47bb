"""What pages load: what is listed and nothing else, as it came, small, and named by what is in it."""

import gzip
import hashlib
import re
import tomllib
from pathlib import Path

import pytest

from gateway.pages.rendering import page_headers
from gateway.pages.static_files import STATIC, address_of, static_file

PAGES = Path(__file__).parents[3] / "gateway" / "pages"
VENDORED = tomllib.loads((PAGES / "vendor.toml").read_text())["file"]
PAYERS_SCRIPTS = {"go.js", "page.js"}
PAYERS_BUDGET = 5 * 1024
ALL_BUDGET = 40 * 1024


def test_what_is_served_is_what_is_there() -> None:
    assert {path.name for path in (PAGES / "static").iterdir()} == STATIC


@pytest.mark.parametrize("entry", VENDORED, ids=lambda entry: str(entry["name"]))
def test_files_of_others_are_as_they_came(entry: dict[str, str]) -> None:
    assert set(entry) == {"name", "package", "version", "path", "licence", "sha256", "used_by"}
    assert hashlib.sha256((PAGES / "static" / entry["name"]).read_bytes()).hexdigest() == entry["sha256"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", entry["version"])


def test_scripts_are_small() -> None:
    size = {name: len(static_file(name).compressed) for name in STATIC if name.endswith(".js")}
    assert sum(size[name] for name in PAYERS_SCRIPTS) <= PAYERS_BUDGET
    assert sum(size.values()) <= ALL_BUDGET


def test_a_file_is_sent_as_it_is_and_named_by_what_is_in_it() -> None:
    for name in STATIC:
        file = static_file(name)
        assert gzip.decompress(file.compressed) == file.content
        assert address_of(name) == f"/pages/{name}?v={hashlib.sha256(file.content).hexdigest()[:12]}"


def test_templates_load_nothing_from_elsewhere_and_hold_no_script_or_style() -> None:
    templates = sorted((PAGES / "templates").rglob("*.html"))
    assert templates
    for template in templates:
        text = template.read_text()
        assert not re.search(r"https?://|<style|\sstyle=|\son\w+=|javascript:", text), template.name
        assert not re.search(r"<script(?![^>]*\ssrc=)", text), template.name
        assert "|safe" not in text.replace(" ", ""), template.name


def test_the_policy_of_pages_lets_nothing_inline_run_and_nobody_frame_them() -> None:
    headers = page_headers()
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
    assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "camera=()" in headers["Permissions-Policy"]
