"""YAML text to plain data in which every key and value still knows its line and column.

The composer is PyYAML's safe one (nodes only, nothing is ever constructed); the walk over its nodes is ours, because
the ready-made loaders keep no positions and drop repeated keys in silence. What has two readings is refused
(`scalars.py`), and so is everything that a configuration does not need: tags, merge keys, further documents, and
documents that unfold to more than NODES_MAX values.

A refused value stays in the data as text, so that the checks behind this one see the rest of the file; the caller
reports only the first problem of a path.
"""

from dataclasses import dataclass, field
from typing import Any

import yaml

from gateway.config.errors import Mark, Path, Problem
from gateway.config.scalars import Refused, read_plain, trap

SIZE_MAX = 1024 * 1024
"""Bytes of a document."""
NODES_MAX = 50_000
"""Values of a document with its aliases unfolded; a bomb of nine lines has 10^9."""
DEPTH_MAX = 40
TAG = "tag:yaml.org,2002:"

Data = dict[str, Any]


@dataclass(slots=True)
class Document:
    """Decoded data with the place of everything in it."""

    data: Data = field(default_factory=dict)
    keys: dict[Path, Mark] = field(default_factory=dict)
    """Where a mapping's key stands, by the path of its value."""
    values: dict[Path, Mark] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, problem: Problem) -> Mark:
        """Return where a problem stands: its key or value, or the nearest thing around it when that is not written."""
        if problem.mark:
            return problem.mark
        if problem.is_of_key and problem.path in self.keys:
            return self.keys[problem.path]
        for end in range(len(problem.path), -1, -1):
            if found := self.values.get(problem.path[:end]):
                return found
        return Mark()


class Unreadable(Exception):
    """The text is no YAML document of ours at all; nothing behind this place can be checked."""

    def __init__(self, mark: Mark, message: str) -> None:
        super().__init__(message)
        self.mark = mark
        self.message = message


def decode(content: bytes) -> Document:
    """Decode a configuration.

    Returns: the document, with a problem for each thing in it that is refused.
    Raises: Unreadable when it is not one well-formed YAML mapping in UTF-8.
    """
    text = _text(content)
    root = _compose(text)
    walk = _Walk(text)
    walk.mapping(root, ())
    return walk.document


def _text(content: bytes) -> str:
    if len(content) > SIZE_MAX:
        raise Unreadable(Mark(), f"the file is larger than {SIZE_MAX // 1024} KiB")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable(Mark(), "the file is UTF-16; save it as UTF-8")
    if content.startswith(b"\xef\xbb\xbf"):
        raise Unreadable(Mark(), "the file begins with a byte order mark; save it as UTF-8 without BOM")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as exc:
        before = content[: exc.start].decode("utf-8")
        raise Unreadable(_behind(before), f"byte 0x{content[exc.start]:02x} is not UTF-8; save the file as UTF-8") from exc


def _compose(text: str) -> yaml.MappingNode:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as exc:
        raise Unreadable(_behind(text[: exc.position]), "a control character; YAML allows only tab and line ends") from exc
    except yaml.MarkedYAMLError as exc:
        raise _in_words(exc, text) from exc
    except RecursionError as exc:
        raise Unreadable(Mark(), f"nested deeper than {DEPTH_MAX} levels") from exc
    if root is None:
        raise Unreadable(Mark(), "the file is empty; at least `models` and `routes` are needed")
    if not isinstance(root, yaml.MappingNode):
        raise Unreadable(_of(root), "expected sections (`models:`, `routes:`, ...) at the top, not a list or a single value")
    return root


def _in_words(exc: yaml.MarkedYAMLError, text: str) -> Unreadable:
    """Put the parser's complaint into an operator's words."""
    at = exc.problem_mark or exc.context_mark
    mark = Mark(at.line + 1, at.column + 1) if at else Mark()
    problem = exc.problem or "not well-formed"
    if at and text[at.index - 1 : at.index + 1] == "${":
        return Unreadable(mark, 'put quotes around a reference inside { } or [ ]: "${NAME}"')
    if "'\\t'" in problem:
        return Unreadable(mark, "a tab character; indent and separate with spaces")
    if problem == "but found another document":
        return Unreadable(mark, "a second document begins here; a file holds one")
    if problem == "mapping values are not allowed here":
        return Unreadable(mark, "a ': ' that does not fit here; put quotes around the text, or mend the indentation")
    if "that cannot start any token" in problem:
        return Unreadable(mark, f"{problem.removeprefix('found ')}; put quotes around the text")
    begun = exc.context_mark.line + 1 if exc.context_mark else mark.line
    return Unreadable(mark, f"not YAML: {problem}" + (f", in what begins in line {begun}" if begun != mark.line else ""))


def _behind(before: str) -> Mark:
    """Return the place right behind this text."""
    return Mark(before.count("\n") + 1, len(before) - before.rfind("\n"))


def _of(node: yaml.Node) -> Mark:
    return Mark(node.start_mark.line + 1, node.start_mark.column + 1)


class _Walk:
    """One pass over the nodes, filling a document."""

    def __init__(self, text: str) -> None:
        self.document = Document()
        self._text = text
        self._seen = 0
        self._open: set[int] = set()

    def mapping(self, node: yaml.MappingNode, path: Path) -> Data:
        data: Data = self.document.data if not path else {}
        self.document.values[path] = _of(node)
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse(path, "a key must be plain text", _of(key_node))
                continue
            key, mark = str(key_node.value), _of(key_node)
            at = (*path, key)
            if key_node.tag == f"{TAG}merge":
                self._refuse(at, "merge keys are not read here; write the keys out, or use an alias for a whole value", mark)
            elif key in data:
                what = "key" if path else "section"
                self._refuse(at, f"repeated {what}, first written in line {self.document.keys[at].line}", mark)
            else:
                if key_node.style is None and (why := trap(key)):
                    self._refuse(at, why, mark)
                self.document.keys[at] = mark
                data[key] = self._value(value_node, at)
        return data

    def _value(self, node: yaml.Node, path: Path) -> Any:
        self._seen += 1
        if self._seen > NODES_MAX:
            raise Unreadable(_of(node), f"more than {NODES_MAX} values when all aliases are unfolded")
        if id(node) in self._open:
            raise Unreadable(_of(node), "an alias inside its own anchor")
        if len(path) > DEPTH_MAX:
            raise Unreadable(_of(node), f"nested deeper than {DEPTH_MAX} levels")
        self.document.values[path] = _of(node)
        if self._text[node.start_mark.index : node.start_mark.index + 1] == "!" or not node.tag.startswith(TAG):
            self._refuse(path, "tags (`!...`) mean nothing here; write the plain value")
            return Refused("!")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self._open.add(id(node))
        data = self.mapping(node, path) if isinstance(node, yaml.MappingNode) else self._sequence(node, path)
        self._open.discard(id(node))
        return data

    def _sequence(self, node: yaml.Node, path: Path) -> list[Any]:
        return [self._value(item, (*path, i)) for i, item in enumerate(node.value)]

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        if node.style is not None:
            return node.value
        if why := trap(node.value):
            self._refuse(path, why)
            return Refused(node.value)
        return read_plain(node.value)

    def _refuse(self, path: Path, message: str, mark: Mark | None = None) -> None:
        self.document.problems.append(Problem(path, message, mark=mark))
