"""Where each key of a policy stands, so that a problem can name its line."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bylaw import toml_lines
from bylaw.toml_lines import Lines

TEXT = """\
# a comment
a = 1   # another
b.c = "x"
'd.e'."f\\u0067" = '''
two lines'''
list = [
    1,  # one
    [2, 3],
    { x = 4, y.z = 5 },
]

[table]  # with a comment
key = true
[table.sub]
key = 1979-05-27
inline = { one = { two = [
    1 ] } }

[[array]]
n = 1

[[array]]
n = 2
"""


def paths(value: Any, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every table, key and item of a value that tomllib has read."""
    found = [prefix] if prefix else []
    if isinstance(value, dict):
        return found + [path for k, v in value.items() for path in paths(v, (*prefix, k))]
    if isinstance(value, list):
        return found + [path for i, v in enumerate(value) for path in paths(v, (*prefix, str(i)))]
    return found


def test_each_key_table_and_item_has_its_line() -> None:
    """Dotted and quoted keys, lists over lines, tables in lists: the line is where a person would look."""
    found = toml_lines.lines(TEXT)
    assert {
        ("a",): 2,
        ("b",): 3,
        ("b", "c"): 3,
        ("d.e",): 4,
        ("d.e", "fg"): 4,
        ("list",): 6,
        ("list", "0"): 7,
        ("list", "1"): 8,
        ("list", "1", "1"): 8,
        ("list", "2"): 9,
        ("list", "2", "y", "z"): 9,
        ("table",): 12,
        ("table", "key"): 13,
        ("table", "sub"): 14,
        ("table", "sub", "inline"): 16,
        ("table", "sub", "inline", "one", "two", "0"): 17,
        ("array",): 19,
        ("array", "0"): 19,
        ("array", "0", "n"): 20,
        ("array", "1"): 22,
        ("array", "1", "n"): 23,
    }.items() <= found.items()


def test_no_key_that_tomllib_sees_is_without_a_line() -> None:
    """Both readers see the same keys."""
    assert set(paths(tomllib.loads(TEXT))) <= set(toml_lines.lines(TEXT))


keys = st.one_of(
    st.text("abc_-09", min_size=1, max_size=4),
    st.text("ab \\'x.", max_size=4).map(lambda t: '"' + t.replace("\\", "\\\\") + '"'),
    st.text('ab \\"x.u', max_size=4).map(lambda t: f"'{t}'"),
)
dotted = st.lists(keys, min_size=1, max_size=3).map(".".join)
scalars = st.sampled_from(
    ["1", "true", '"x"', "'''\nx\n'''", "1979-05-27T07:32:00Z", "inf", "[]", "{}", '"""\n#"""']
)


def a_list(items: list[str]) -> str:
    return "[\n" + ", # c\n".join(items) + "\n]"


def a_table(pairs: list[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{key} = {value}" for key, value in pairs) + "}"


values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(a_list) | st.lists(st.tuples(dotted, inner), max_size=2).map(a_table)
    ),
    max_leaves=5,
)
lines = st.one_of(
    st.tuples(dotted, values).map(lambda pair: f"{pair[0]} = {pair[1]}"),
    dotted.map(lambda key: f"[{key}]"),
    dotted.map(lambda key: f"[[{key}]] # c"),
    st.just("# comment"),
    st.just(""),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(lines, max_size=6).map("\n".join))
@example("'\\x' = 1")
@example('"\\u00e9" = 1')
@example("a = 1\r\n[b]\r\nc = 2\r\n")
def test_what_one_parser_takes_does_not_stop_the_other(text: str) -> None:
    """Whatever is TOML has lines: finding them never fails, and top-level keys all have one."""
    try:
        read = tomllib.loads(text)
    except ValueError:
        return
    found = toml_lines.lines(text)
    assert {(key,) for key in read} <= set(found)
    assert all(1 <= line <= text.count("\n") + 1 for line in found.values())


@pytest.mark.parametrize(
    ("path", "where"),
    [
        (("a",), "p.toml:1"),
        (("a", "b"), "p.toml:1"),
        (("z",), "p.toml"),
        (("c", "d"), "p.toml:9"),
        ((), "p.toml"),
    ],
)
def test_what_is_not_written_is_said_to_stand_in_its_table(path: tuple[str, ...], where: str) -> None:
    """A missing key is looked for where it would be written; an overlay's key where it overrides."""
    found = Lines("p.toml", {("a",): 1, ("c",): 2, ("c", "d"): 3, ("development", "c", "d"): 9})
    found.overlay("development")
    assert found.at(path) == where
