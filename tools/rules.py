"""The rules of this house that no linter knows: `python -m tools.rules` names each place that breaks one.

Each rule is a function from a file's path and text to (line, sentence) pairs; RULES says which it reads.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

Finding = tuple[int, str]
Rule = Callable[[str, str], Iterator[Finding]]

# The only places that may hold coroutines: the core is synchronous and has no async twin. The adapters answer
# asynchronous servers, and verify plays one.
ASYNC_ALLOWED = re.compile(r"src/bylaw/(adapters/|fastapi\b|verify/)")
# A silenced check says what it silences and why: `
SILENCED = re.compile(r"#\s*(noqa|nosec|pragma: no cover|pragma: allowlist secret)\b(.*)")
CODES = re.compile(r"^(:?\s*\[?[A-Za-z][A-Za-z0-9-]*\d*\]?(,\s*)?)*")
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:root|home/\w+|work|Users/\w+)/\w")


def no_async_outside_adapters(path: str, text: str) -> Iterator[Finding]:
    """`async def` in the core would be the first half of a twin."""
    if ASYNC_ALLOWED.match(path):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.AsyncFunctionDef):
            yield node.lineno, f"async def {node.name}: only the adapters and verify may be asynchronous"


def silence_has_a_reason(_path: str, text: str) -> Iterator[Finding]:
    """What a reader can't tell from `# noqa` is why it was right."""
    for number, line in enumerate(text.splitlines(), 1):
        if (found := SILENCED.search(line)) and len(
            CODES.sub("", found[2].strip(), count=1).strip(" -:;#")
        ) < 8:
            yield number, f"# {found[1]} without a reason after it"


def no_machine_path(_path: str, text: str) -> Iterator[Finding]:
    """A path of one developer's machine is true nowhere else."""
    for number, line in enumerate(text.splitlines(), 1):
        if found := MACHINE_PATH.search(line):
            yield number, f"{found[0]}… is a path of one machine"


RULES: list[tuple[str, Rule]] = [
    (r"src/bylaw/.*\.py", no_async_outside_adapters),
    (r"(src|apps)/(?!.*tests/).*\.py", silence_has_a_reason),
    (r"(?!tests/|tools/rules\.py).*\.(py|toml|md|sh|ya?ml|txt|cfg|ini)|Makefile|\.ci/run", no_machine_path),
]


def files() -> list[str]:
    """Every file of the repository, and those that nobody has added yet."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    )
    return [name for name in listed.stdout.splitlines() if Path(name).is_file()]


def findings() -> Iterator[str]:
    """Each breach as `path:line: sentence`."""
    for path in files():
        rules = [rule for pattern, rule in RULES if re.fullmatch(pattern, path)]
        if rules:
            text = Path(path).read_text(encoding="utf-8")
            for rule in rules:
                yield from (f"{path}:{line}: {sentence}" for line, sentence in rule(path, text))


if __name__ == "__main__":
    found = list(findings())
    print("\n".join(found))
    sys.exit(bool(found))
