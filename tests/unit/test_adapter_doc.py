"""docs/writing-an-adapter.md, in both languages: it quotes the code as it is, and names the files that are written."""

import re
from pathlib import Path
from textwrap import dedent

import pytest

from gateway.run import new_adapter

ROOT = Path(__file__).parents[2]
PAGES = {name: (ROOT / "docs" / f"writing-an-adapter{name}.md").read_text() for name in ("", ".zh-CN")}
EACH = pytest.mark.parametrize("page", PAGES.values(), ids=["in English", "in Chinese"])
TEMPLATES = Path(new_adapter.__file__).parent / "templates"


def quoted_in(page: str) -> list[tuple[str, str]]:
    """Files with what is quoted from them."""
    return re.findall(r"```python\n# (\S+\.py)\n(.*?)```", page, re.DOTALL)


@EACH
def test_each_quotation_stands_in_the_file_that_it_names(page: str) -> None:
    quotations = quoted_in(page)
    assert len(quotations) >= 4
    for path, quoted in quotations:
        lines, wanted = (ROOT / path).read_text().splitlines(), quoted.splitlines()
        parts = (dedent("\n".join(lines[start : start + len(wanted)])) for start in range(len(lines)))
        assert "\n".join(wanted) in parts, path


@EACH
def test_the_parts_of_an_adapter_that_the_page_names_are_written(page: str) -> None:
    [row] = re.findall(r"^\| `adapters/fuiou/` \| (.*) \|$", page, re.MULTILINE)
    named = set(re.findall(r"`(\w+)(?:\.toml)?`", row))
    written = {path.name.partition(".")[0] for path in (TEMPLATES / "adapters").glob("*.txt")}
    assert named == written - {"__init__"}


def test_both_pages_quote_the_same() -> None:
    assert quoted_in(PAGES[""]) == quoted_in(PAGES[".zh-CN"])
