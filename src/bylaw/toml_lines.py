"""Where each key of a TOML text stands: the parser of the standard library does not say."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field

import tree_sitter_toml
from tree_sitter import Language, Node, Parser

Path = tuple[str, ...]


@dataclass(slots=True)
class Lines:
    """The line of each key (1 for the first), and the file's name to say it with."""

    file: str
    by_path: dict[Path, int]
    overlays: list[str] = field(default_factory=list)

    def overlay(self, table: str) -> None:
        """From now on, a key that stands in `table` as well is reported there."""
        self.overlays.append(table)

    def at(self, path: Path) -> str:
        """`file:line` of the key, or of the nearest table around it."""
        for table in self.overlays:
            if (table, *path) in self.by_path:
                return f"{self.file}:{self.by_path[(table, *path)]}"
        for end in range(len(path), 0, -1):
            if path[:end] in self.by_path:
                return f"{self.file}:{self.by_path[path[:end]]}"
        return self.file


def lines(text: str) -> dict[Path, int]:
    """The line of every table, key and list item in `text`, which is known to be TOML."""
    parser = Parser(Language(tree_sitter_toml.language()))
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    for child in parser.parse(text.encode()).root_node.named_children:
        if child.type == "pair":
            _pair(child, (), found)
        elif child.type in ("table", "table_array_element"):
            header, *pairs = child.named_children
            path = _key(header)
            for end in range(1, len(path) + 1):
                found.setdefault(path[:end], _line(header))
            if child.type == "table_array_element":
                index = counts[path] = counts.get(path, -1) + 1
                path = (*path, str(index))
                found[path] = _line(header)
            for pair in pairs:
                if pair.type == "pair":
                    _pair(pair, path, found)
    return found


def _pair(node: Node, prefix: Path, found: dict[Path, int]) -> None:
    key, value = node.named_children[0], node.named_children[-1]
    path = (*prefix, *_key(key))
    for end in range(len(prefix) + 1, len(path) + 1):
        found.setdefault(path[:end], _line(key))
    _value(value, path, found)


def _value(node: Node, path: Path, found: dict[Path, int]) -> None:
    if node.type == "inline_table":
        for child in node.named_children:
            if child.type == "pair":
                _pair(child, path, found)
    elif node.type == "array":
        items = [child for child in node.named_children if child.type != "comment"]
        for index, child in enumerate(items):
            found[(*path, str(index))] = _line(child)
            _value(child, (*path, str(index)), found)


def _key(node: Node) -> Path:
    return tuple(_parts(node))


def _parts(node: Node) -> Iterator[str]:
    if node.type == "dotted_key":
        for child in node.named_children:
            yield from _parts(child)
        return
    text = (node.text or b"").decode()
    # TOML's quotes are not Python's: '\x' is four characters here and an error there.
    yield next(iter(tomllib.loads(f"{text} = 0"))) if node.type == "quoted_key" else text


def _line(node: Node) -> int:
    return node.start_point[0] + 1
