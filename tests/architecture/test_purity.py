"""What decides does not act: the words, the core and the wire neither wait nor open anything, and only one file makes tasks."""

import ast
from pathlib import Path

import pytest

PURE = ("gateway/domain", "gateway/core", "gateway/wire")
OPENERS = {"open", "read_text", "write_text", "read_bytes", "write_bytes", "unlink", "mkdir"}
MAKERS = {"create_task", "ensure_future"}
MAKE_TASKS = {"gateway/upkeep.py", "gateway/process/worker.py", "gateway/edges/server/app.py"}
"""upkeep makes the duties; the worker starts upkeep beside the server; the data port runs each call that it reads itself in a task of its
own, as aiohttp does for the others."""


def waits_or_opens(source: str) -> list[str]:
    """Return `line: what` for everything in a source text that waits, or touches a file."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            found.append(f"{node.lineno}: {type(node).__name__}")
        elif isinstance(node, ast.Call) and (name := called(node)) in OPENERS:
            found.append(f"{node.lineno}: {name}(")
    return found


def called(call: ast.Call) -> str:
    """Return the last word of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


@pytest.mark.parametrize("room", PURE)
def test_a_room_that_decides_neither_waits_nor_opens(house: Path, room: str) -> None:
    files = sorted((house / room).rglob("*.py"))
    assert files
    found = [f"{file.relative_to(house)}:{what}" for file in files for what in waits_or_opens(file.read_text())]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "source",
    [
        "async def f(): pass",
        "async def f():\n  await g()",
        "async def f():\n  async with a: pass",
        "x = open('f')",
        "Path('f').read_text()",
        "p.open()",
    ],
)
def test_the_check_sees_each_way_to_wait_or_open(source: str) -> None:
    assert waits_or_opens(source)


def test_a_word_in_a_docstring_is_not_a_call() -> None:
    assert waits_or_opens('"""Does not await and does not open(x)."""\nis_open = reopens_s(3)') == []


def test_tasks_are_made_in_one_place(house: Path) -> None:
    makers = set()
    for file in sorted((house / "gateway").rglob("*.py")):
        calls = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
        if any(called(call) in MAKERS for call in calls):
            makers.add(file.relative_to(house).as_posix())
    assert makers == MAKE_TASKS


def test_the_store_is_awaited_on_a_requests_way_in_one_place(house: Path) -> None:
    """The one awaited grant of a limited tenant with nothing at hand; the calls of the store's port are known from `ports.py`."""
    port = next(
        n for n in ast.walk(ast.parse((house / "gateway/ports.py").read_text())) if isinstance(n, ast.ClassDef) and n.name == "Store"
    )
    calls = {n.name for n in port.body if isinstance(n, ast.AsyncFunctionDef)} - {"close", "feedback"} | {"fetch"}
    assert {"flush", "grant", "poll"} <= calls
    found = []
    story = [f"pipeline/{file.name}" for file in sorted((house / "gateway/pipeline").glob("*.py"))]
    for name in (*story, "edges/server/chat.py", "edges/server/app.py", "edges/server/stream.py", "edges/server/reply.py"):
        for node in ast.walk(ast.parse((house / "gateway" / name).read_text())):
            if isinstance(node, ast.Await) and isinstance(node.value, ast.Call) and called(node.value) in calls:
                found.append(f"{name}: {ast.unparse(node.value.func)}")
    assert found == ["pipeline/pipeline.py: self._leases.fetch", "edges/server/app.py: self.feedback.flush"], (
        "the second one is a duty's, in the background"
    )
