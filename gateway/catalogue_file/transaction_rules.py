"""Transaction rules of a file that are to be tried out: a whole catalogue file, or a piece that may become part of one.

They stand as `[[merchants.transaction_rules]]`, as the catalogue has them, or as `[[transaction_rules]]`. Nothing else
of the file is read, so that a file whose secrets are elsewhere will do.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from gateway.catalogue_file.checks import filter_problems
from gateway.catalogue_file.reading import CatalogueFileError, said
from gateway.catalogue_file.shape import TransactionRuleShape
from gateway.catalogue_file.syntax import UnreadableFileError, parsed
from gateway.domain.transaction_rules import MAX_RULES, TransactionRule

__all__ = ["FileRule", "read_rules"]

HERE: Final = "transaction_rules"
Place = tuple[str, str | None, Any]
"""Where rules stand in the file, of which merchant, and what stands there."""


@dataclass(frozen=True, slots=True)
class FileRule:
    """A rule, where it stands in the file, and the merchant that the file says it is of; None: it says none."""

    path: str
    merchant: str | None
    shape: TransactionRuleShape

    @property
    def rule(self) -> TransactionRule:
        return self.shape.rule

    def problems(self, channels: Collection[str], apps: Collection[str]) -> list[str]:
        """What its filter can never meet at a merchant that has these."""
        return list(filter_problems(f"{self.path}.filter", self.shape.filter, channels, apps))


def read_rules(path: Path) -> list[FileRule]:
    """Every rule of a file, in its order. Raises CatalogueFileError: of all that is wrong, and for a file of none."""
    try:
        places = list(_places(parsed(path)))
    except UnreadableFileError as error:
        raise CatalogueFileError([str(error)]) from None
    problems: list[str] = []
    rules: list[FileRule] = []
    for at, merchant, told in places:
        if not isinstance(told, list):
            problems.append(f"{at}: must be a list of rules: [[{HERE}]]")
            continue
        if len(told) > MAX_RULES:
            problems.append(f"{at}: has {len(told)} rules: a merchant has at most {MAX_RULES}")
            continue
        for number, each in enumerate(told):
            here = f"{at}[{number}]"
            try:
                rules.append(FileRule(here, merchant, TransactionRuleShape.model_validate(each)))
            except ValidationError as error:
                for details in error.errors(include_url=False, include_input=False):
                    inner, problem = said(details)
                    problems.append(f"{here}.{inner}: {problem}" if inner else f"{here}: {problem}")
    problems += _given_twice(rules)
    if not places or not (rules or problems):
        problems.append(f"{path.name}: has no transaction rules: write them as [[merchants.{HERE}]] or [[{HERE}]]")
    if problems:
        raise CatalogueFileError(problems)
    return rules


def _places(content: dict[str, Any]) -> Iterator[Place]:
    if HERE in content:
        yield HERE, None, content[HERE]
    merchants = content.get("merchants", [])
    # A piece of a catalogue file, cut out as it stands there, has a table without a [[merchants]] before it.
    if isinstance(merchants, dict):
        merchants = [merchants]
    for number, merchant in enumerate(merchants if isinstance(merchants, list) else []):
        if isinstance(merchant, dict) and HERE in merchant:
            code = merchant.get("code")
            yield f"merchants[{number}].{HERE}", code if isinstance(code, str) else None, merchant[HERE]


def _given_twice(rules: list[FileRule]) -> Iterator[str]:
    first: dict[tuple[str | None, str], str] = {}
    for each in rules:
        other = first.setdefault((each.merchant, each.rule.code), each.path)
        if other != each.path:
            yield f"{each.path}.code: {each.rule.code} is given twice: {other} has it"
