"""Who may import whom, and what the pure parts may not import at all: read with `ast`."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A package and what it may import besides itself and what everyone may.
EVERYONE = {"address", "deadlines", "entropy", "errors", "immutable", "languages"}
MAY = {
    "office": set(),
    "sip": set(),
    "sdp": set(),
    "rules": {"office"},
    "rtp": {"sdp"},
    "media": {"rtp"},
    "call": {"sip", "sdp", "rules", "office"},
    "net": {"sip", "call"},
    "store": {"office"},
    "mail": {"net", "office", "store"},
    "config": {"mail", "office"},
}
ROOTS = {"__main__", "app", "cli"}  # know everyone; cli is cli_calls and so on, too
# Modules that are nothing but values, and who else may know them.
VALUES = {
    "media.orders": {"call"},  # what a media worker is to do, and what it tells
    "media.prompt": {"call"},  # what is to be said
    "rtp.port_pool": {
        "call"
    },  # pure, and the core's: the worker is told a port (docs/decisions/call-layer.md)
    "rtp.statistics": {"call"},
    "rtp.telephone_event": {"call"},
    "rules.facts": {"store"},  # what an extension has used
    "rules.usage": {"store"},  # and what that costs
    "sdp.crypto": {"media"},  # the keys in an order
}

PURE = {"office", "sip", "sdp", "rules", "call", "rtp", "media"}
WORLD = {
    *("asyncio", "multiprocessing", "select", "selectors", "signal", "socket", "ssl", "subprocess"),
    *("logging", "os", "random", "secrets", "sqlalchemy", "threading", "time", "twisted"),
}
# Where packages that are pure elsewhere touch the world, and why.
TOUCH = {
    "rtp.kernel.conntrack": "netlink messages: the numbers of address families",
    "rtp.kernel.joins": "orders to the kernel fail with the numbers of `os` and `socket`",
    "rtp.kernel.link": "the netlink socket",
    "rtp.kernel.table": "the table is named after the process",
    "rtp.reporter": "a Random is handed in",
    "media.control": "starts the workers, and talks with them",
    "media.engine": "another program that speaks",
    "media.files": "the thread that writes recordings",
    "media.key_reader": "the kernel's log of keys, read in the reactor",
    "media.link": "a socket pair in the reactor",
    "media.loop": "the worker's epoll loop",
    "media.probe": "the sockets of an endpoint",
    "media.rendering": "cached sound on the disk",
    "media.speech": "the speech process",
    "media.speech_control": "starts the speech process, and talks with it",
    "media.studio": "a Random is handed in",
    "media.wav": "files that grow",
    "media.worker": "the worker process",
}


@cache
def modules() -> dict[str, Path]:
    """Every module below `pbx`, by its name without that."""
    found = {}
    for path in sorted((ROOT / "pbx").rglob("*.py")):
        parts = path.relative_to(ROOT / "pbx").with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports(module: str) -> tuple[frozenset[str], frozenset[str]]:
    """What a module imports, wherever it does so: our modules, and the first names of the others."""
    ours, others = set(), set()
    for name in _names(ast.parse(modules()[module].read_text("utf-8"))):
        first, _, rest = name.partition(".")
        if first != "pbx":
            others.add(first)
            continue
        while rest not in modules():  # a name in a module
            rest = rest.rpartition(".")[0]
        ours.add(rest)
    return frozenset(ours), frozenset(others)


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: a relative import"
            yield from (f"{node.module}.{each.name}" for each in node.names)


def package(module: str) -> str:
    first = module.partition(".")[0]
    return next((own for own in ("cli", "config") if first.startswith(f"{own}_")), first)


def test_a_package_knows_only_those_below_it():
    wrong = []
    for module in modules():
        own = package(module)
        if own in ROOTS | {""}:
            continue
        for other in imports(module)[0] - {""}:
            is_value = own in VALUES.get(other, ())
            if package(other) not in {own} | EVERYONE | MAY.get(own, set()) and not is_value:
                wrong.append(f"{module} imports {other}")
    assert wrong == []


def test_no_module_needs_itself():
    graph = {module: imports(module)[0] - {""} for module in modules() if module}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' <- '.join(error.args[1])}")


def test_no_import_is_for_type_checkers_alone():
    assert [name for name, path in modules().items() if "TYPE_CHECKING" in path.read_text("utf-8")] == []


def test_the_pure_parts_touch_nothing():
    wrong = {
        module: sorted(imports(module)[1] & WORLD)
        for module in modules()
        if package(module) in PURE and imports(module)[1] & WORLD and module not in TOUCH
    }
    assert wrong == {}


def test_every_exception_is_one():
    """What does not need its line here any more loses it."""
    idle = [module for module in TOUCH if module not in modules() or not imports(module)[1] & WORLD]
    for value, users in VALUES.items():
        named = {package(module) for module in modules() if value in imports(module)[0]}
        idle += [f"{value} for {user}" for user in users - named]
    assert idle == []
    assert set(MAY) | ROOTS | EVERYONE >= {package(module) for module in modules() if module}
