"""docs/writing-an-adapter.md quotes the code as it is, and names the files that `sluice new-adapter` writes."""

import re
from pathlib import Path
from textwrap import dedent

import pytest

from gateway.run import new_adapter

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "writing-an-adapter.md").read_text()
QUOTED = re.findall(r"```python\n# (\S+\.py)\n(.*?)```", PAGE, re.DOTALL)
TEMPLATES = Path(new_adapter.__file__).parent / "templates"


def test_the_page_quotes_real_code() -> None:
    assert len(QUOTED) >= 4


@pytest.mark.parametrize(("path", "quoted"), QUOTED, ids=[path for path, _ in QUOTED])
def test_each_quotation_stands_in_the_file_that_it_names(path: str, quoted: str) -> None:
    lines, wanted = (ROOT / path).read_text().splitlines(), quoted.splitlines()
    parts = (dedent("\n".join(lines[start : start + len(wanted)])) for start in range(len(lines)))
    assert "\n".join(wanted) in parts


def test_the_parts_of_an_adapter_that_the_page_names_are_written() -> None:
    [row] = re.findall(r"^\| `adapters/fuiou/` \| (.*) \|$", PAGE, re.MULTILINE)
    named = set(re.findall(r"`(\w+)(?:\.toml)?`", row))
    written = {path.name.partition(".")[0] for path in (TEMPLATES / "adapters").glob("*.txt")}
    assert named == written - {"__init__"}
