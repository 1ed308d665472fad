"""Every block of Python in the documentation runs.

A block is a program of its own. Blocks of one page that carry the same name (```` ```python name=shop ````) continue
each other. `pytest` after the language says that the block is a test module. What is no program is not marked as Python
but as `text`, `sh` or `rust`.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import subprocess
import sys
import tomllib
import types
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "ai-skills").rglob("*.md"))]
FENCE = re.compile(r"^(?P<fence>`{3,})(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=fence)[ ]*$", re.M | re.S)
# Where a reader of the pages would have put a model.
MODEL = "models/all-MiniLM-L6-v2"
# And a database with pgvector.
DATABASE = "postgres://agents@db.internal/memory"
LANGUAGES = {"python", "sh", "text", "rust", "json", "toml"}


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    info: tuple[str, ...]
    source: str

    @property
    def language(self) -> str:
        return self.info[0] if self.info else ""

    @property
    def name(self) -> str:
        names = [word.removeprefix("name=") for word in self.info if word.startswith("name=")]
        return names[0] if names else f"line-{self.line}"

    @property
    def title(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.name}"


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, found.start()) + 2, tuple(found["info"].split()), found["body"])
        for found in FENCE.finditer(text)
    ]


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
PROGRAMS: dict[str, list[Block]] = {}
for each in BLOCKS:
    if each.language == "python":
        PROGRAMS.setdefault(each.title, []).append(each)


def execute(block: Block, module: types.ModuleType) -> None:
    """Runs a block where it stands: line numbers in tracebacks are those of the page."""
    source = "\n" * (block.line - 1) + block.source
    code = compile(source, str(block.page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(code, module.__dict__))
    else:
        exec(code, module.__dict__)


@pytest.mark.parametrize("title", [title for title, blocks in PROGRAMS.items() if "pytest" not in blocks[0].info])
def test_a_block_runs(
    title: str,
    provider_environment: dict[str, str],
    minilm: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    blocks = PROGRAMS[title]
    if any(DATABASE in block.source for block in blocks):
        there = request.getfixturevalue("pgvector")
        blocks = [replace(block, source=block.source.replace(DATABASE, there)) for block in blocks]
    if any(MODEL in block.source for block in PROGRAMS[title]):
        (tmp_path / MODEL).parent.mkdir()
        (tmp_path / MODEL).symlink_to(minilm)
        monkeypatch.chdir(tmp_path)
    module = types.ModuleType(re.sub(r"\W", "_", title))
    monkeypatch.setitem(sys.modules, module.__name__, module)  # dataclasses and pydantic look there
    for block in blocks:
        execute(block, module)


@pytest.mark.parametrize("title", [title for title, blocks in PROGRAMS.items() if "pytest" in blocks[0].info])
def test_a_test_module_passes(title: str, provider_environment: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "test_of_the_page.py"
    path.write_text("\n".join(block.source for block in PROGRAMS[title]), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", str(path), "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]
    command += ["-o", "asyncio_default_fixture_loop_scope=function", f"--rootdir={tmp_path}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"[1-9]\d* passed", done.stdout), done.stdout


def test_there_is_something_to_run_on_every_page() -> None:
    assert sum(len(blocks) for blocks in PROGRAMS.values()) > 10
    with_programs = {block.page for blocks in PROGRAMS.values() for block in blocks}
    assert set(PAGES) <= with_programs, f"no program on {set(PAGES) - with_programs}"


def test_every_block_says_what_it_is() -> None:
    strange = [f"{block.page.name}:{block.line}" for block in BLOCKS if block.language not in LANGUAGES]
    assert not strange, f"mark these blocks as one of {sorted(LANGUAGES)}: {strange}"
    for page in PAGES:
        fences = re.findall(r"^`{3,}", page.read_text(encoding="utf-8"), re.M)
        assert len(fences) == 2 * len(blocks_of(page)), f"a fence of {page.name} is not closed"


def test_the_commands_of_the_pages_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.M))
    named = {
        target
        for block in BLOCKS
        if block.language == "sh"
        for target in re.findall(r"^make ([a-z-]+)", block.source, re.M)
    }
    assert {"run", "test"} <= named
    assert named <= targets, f"no such target: {named - targets}"


def test_links_within_the_repository_lead_somewhere() -> None:
    broken = []
    for page in [*PAGES, ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"]:
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert not broken, broken


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_the_files_that_a_page_for_contributors_names_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w-]+(?:/[\w-]+)+\.(?:rs|py|pyi|md))`", text))
    assert len(named) > 15
    missing = [name for name in sorted(named) if not any((base / name).exists() for base in (ROOT, ROOT / "crates"))]
    assert not missing


def test_every_crate_has_its_invariant() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    invariants = re.findall(r"^\| `([\w-]+)` \|", text, re.M)
    crates = [manifest.parent.name for manifest in (ROOT / "crates").glob("*/Cargo.toml")]
    assert sorted(invariants) == sorted([*crates, "xtask"])


def test_every_crate_stands_on_its_floor() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([0-5]) \w+ \|[^|]*\|([^|]*)\|$", text, re.M)
    assert [floor for floor, _ in rows] == ["5", "4", "3", "2", "1", "0"]
    named = {floor: sorted(set(re.findall(r"`([\w-]+)`", crates)) - {"atomr-agents"}) for floor, crates in rows}
    found: dict[str, list[str]] = {}
    for manifest in sorted((ROOT / "crates").glob("*/Cargo.toml")):
        floor = tomllib.loads(manifest.read_text(encoding="utf-8"))["package"]["metadata"]["atomr"]["floor"]
        found.setdefault(str(floor), []).append(manifest.parent.name)
    assert named == found


def test_the_tests_that_the_lessons_name_exist() -> None:
    text = (ROOT / "docs" / "lessons.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/.-]+)::(\w+)`", text))
    assert len(named) > 40
    assert named == set(re.findall(r"`([^`\s]+?)::([^`]+)`", text)), "a name that is not written as path::test"
    missing = [
        f"{path}::{test}"
        for path, test in sorted(named)
        if not re.search(rf"^ *(?:async )?(?:def|fn) {test}\b", (ROOT / path).read_text(encoding="utf-8"), re.M)
    ]
    assert not missing
