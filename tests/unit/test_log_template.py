"""deploy/elasticsearch: every field that the code logs is in the index template, and what is in no line is not.

Names are found in the source, so a line that no test makes is looked at, too. That values are of the template's types
is seen on real lines: tests/e2e/test_log_lines.py.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from gateway import logs
from tests.log_template import FIELDS

GATEWAY = Path(logs.__file__).parent
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
ALWAYS = {"@timestamp", "message", "log.level", "log.logger", "ecs.version", "service.name"}
OF_ERRORS = {"error.type", "error.message", "error.stack_trace"}
FOR_CALLERS = {"trace.id", "user.id"}
"""Names of `logs.ECS_NAMES` that nobody uses yet."""
DETAILS = {
    "sluice.found", "sluice.since", "sluice.application", "sluice.state",
    "sluice.rule", "sluice.name", "sluice.key", "sluice.value", "sluice.card", "sluice.count", "sluice.sum",
    "sluice.window_s", "sluice.objects", "sluice.too_wide",
}  # fmt: skip
"""Of alerts: the numbers of what stands, of old snapshots, of transaction rules."""
WITH_OTHER_NAMES = {"say": "statements.py"}
"""What is called to log beside a logger's own methods, and where."""


def logged(path: Path) -> Iterator[str]:
    """The fields of every line that a module logs."""
    text = path.read_text()
    if "log" not in text:
        return
    tree = ast.parse(text)
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if _is_line(call.func, path):
            for keyword in call.keywords:
                if keyword.arg is None:
                    yield from _spread(keyword.value, tree)
                elif keyword.arg != "exc_info":
                    yield logs._ecs_name(keyword.arg)
        elif isinstance(call.func, ast.Name) and call.func.id == "write" and len(call.args) == 4:
            yield from _spread(call.args[3], tree)


def _is_line(function: ast.expr, path: Path) -> bool:
    match function:
        case ast.Attribute(value=of, attr=name) if name in LEVELS:
            return "log" in ast.unparse(of)
        case ast.Name(id=name):
            return WITH_OTHER_NAMES.get(name) == path.name
    return False


def _spread(value: ast.expr, tree: ast.Module) -> Iterator[str]:
    """The keys of a dictionary that is given whole: of this name in the module, or that a function returns."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        of = value.func.id
        places = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == of]
        found = [key for place in places for key in _keys(place)]
    else:
        of = ast.unparse(value)
        found = [key for node in ast.walk(tree) if _goes_into(node, of) for key in _keys(node)]
    assert found or of == "detail", f"nothing is known of **{of}: say in {Path(__file__).name} what it holds"
    yield from (logs._ecs_name(key) for key in found)


def _goes_into(node: ast.AST, name: str) -> bool:
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign | ast.AugAssign):
        targets = [node.target]
    parts = [part for each in targets for part in (each.elts if isinstance(each, ast.Tuple) else [each])]
    return any(ast.unparse(part).split("[")[0] == name for part in parts)


def _keys(place: ast.AST) -> Iterator[str]:
    """Of the outermost dictionaries of a statement or function, and of places that are assigned to."""
    for node in ast.walk(place):
        if isinstance(node, ast.Dict):
            yield from (key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str))
        elif (
            isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.ctx, ast.Store)
        ):
            yield str(node.slice.value)


def test_every_field_of_every_line_is_in_the_template_and_nothing_else() -> None:
    found = ALWAYS | OF_ERRORS | FOR_CALLERS | DETAILS | {"sluice.lost", "process.pid"}
    where = {name: path for path in sorted(GATEWAY.rglob("*.py")) for name in logged(path)}
    found |= where.keys()
    known = {name for name in FIELDS if not name.startswith(("sluice.raw.", "sluice.channel_fault."))}
    known |= {"sluice.raw", "sluice.channel_fault"}
    missing = {name: str(where[name]) for name in found - known}
    assert missing == {}, "add it to deploy/elasticsearch/sluice-logs.json and docs/logs.md"
    assert known - found == set(), "nobody logs it"


def test_names_of_ecs_keep_their_meaning() -> None:
    assert {*logs.ECS_NAMES.values()} <= FIELDS.keys()
