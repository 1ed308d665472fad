"""Docstrings in the Google, NumPy and Sphinx styles, split into a description and what each name is for."""

from __future__ import annotations

_GOOGLE = frozenset({"args:", "arguments:", "parameters:", "params:", "attributes:", "keyword args:", "fields:"})
_NUMPY = frozenset({"parameters", "other parameters", "attributes"})
_SPHINX = frozenset({"param", "parameter", "arg", "argument", "key", "keyword", "attr", "ivar", "var"})


def parse(doc: str | None) -> tuple[str, dict[str, str]]:
    """Answers the text without its list of parameters, and the description of each name in that list."""
    lines = _dedent(doc or "")
    names: dict[str, str] = {}
    kept: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.lower() in _GOOGLE:
            at = _entries(lines, at + 1, names)
        elif line.lower() in _NUMPY and _is_rule(lines, at + 1):
            at = _numpy(lines, at + 2, names)
        elif line.startswith(":"):
            at = _field(lines, at, names, kept)
        else:
            kept.append(line)
            at += 1
    return _paragraphs(kept), names


def _dedent(doc: str) -> list[str]:
    lines = doc.expandtabs().splitlines()
    indents = [len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()]
    margin = min(indents, default=0)
    return [line.strip() if number == 0 else line[margin:].rstrip() for number, line in enumerate(lines)]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _is_rule(lines: list[str], at: int) -> bool:
    return at < len(lines) and len(lines[at]) >= 3 and set(lines[at]) == {"-"}


def _join(parts: list[str]) -> str:
    return " ".join(part for part in (text.strip() for text in parts) if part)


def _paragraphs(lines: list[str]) -> str:
    """The text, without the blank lines that a section left behind."""
    out: list[str] = []
    for line in lines:
        if line or (out and out[-1]):
            out.append(line)
    return "\n".join(out).strip()


def _entries(lines: list[str], at: int, names: dict[str, str]) -> int:
    """Google: `name (type): text`, with what belongs to it indented further."""
    depth: int | None = None
    current = ""
    while at < len(lines):
        line = lines[at]
        if not line:
            at += 1
            continue
        indent = _indent(line)
        if indent == 0:
            break
        depth = indent if depth is None else depth
        name, text = _google_head(line.strip()) if indent <= depth else ("", "")
        if name:
            current = name
            names[current] = text
        elif current:
            names[current] = _join([names[current], line])
        at += 1
    return at


def _google_head(line: str) -> tuple[str, str]:
    """`name: text` or `name (a type, maybe with: colons): text`."""
    bracket = line.find("(")
    colon = line.find(":")
    if 0 < bracket < colon:
        close = line.rfind("):")
        if close > 0:
            colon = close + 1
    head = line[:colon].split("(", 1)[0].strip().lstrip("*") if colon > 0 else ""
    return (head, line[colon + 1 :].strip()) if head.isidentifier() else ("", "")


def _numpy(lines: list[str], at: int, names: dict[str, str]) -> int:
    """NumPy: `name : type` (or `a, b : type`) with the text indented below."""
    current: list[str] = []
    while at < len(lines):
        line = lines[at]
        if line and _indent(line) == 0:
            if _is_rule(lines, at + 1):
                break
            heads = [name.strip().lstrip("*") for name in line.split(":", 1)[0].split(",")]
            if not all(name.isidentifier() for name in heads):
                break
            current = heads
            names.update(dict.fromkeys(heads, ""))
        else:
            for name in current:
                names[name] = _join([names[name], line])
        at += 1
    return at


def _field(lines: list[str], at: int, names: dict[str, str], kept: list[str]) -> int:
    """Sphinx: `:param type name: text`; `:type name:` says nothing new; other fields stay."""
    head, colon, text = lines[at][1:].partition(":")
    words = head.split()
    end = at + 1
    while end < len(lines) and lines[end] and _indent(lines[end]) > 0:
        end += 1
    if colon and len(words) >= 2 and words[0] in _SPHINX:
        names[words[-1].lstrip("*")] = _join([text, *lines[at + 1 : end]])
    elif not (colon and len(words) == 2 and words[0] in {"type", "vartype"}):
        kept.extend(lines[at:end])
    return end
