"""What importing costs: CPU time of a fresh interpreter with the import, above one without."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys

from common import failures, save, table, target

IMPORTS = {
    "ours": ("atomr-agents", "from atomr_agents import Agent, tool"),
    "openai": ("openai", "from openai import AsyncOpenAI"),
    "openai-agents": ("openai-agents", "from agents import Agent, Runner, function_tool"),
    "langgraph": (
        "langgraph + langchain-openai",
        "from langchain_openai import ChatOpenAI; from langgraph.prebuilt import create_react_agent",
    ),
    "pydantic-ai": ("pydantic-ai", "from pydantic_ai import Agent"),
}
ROUNDS = 21
FEW = 3
HEAVY = ("asyncio", "pydantic", "numpy")


def cpu_ms(code: str) -> float:
    """CPU time of one interpreter that runs `code`; the kernel's own account, in microseconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip().splitlines() or ["failed"])[-1])
    return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1e3


def loaded(code: str) -> list[str]:
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    modules: list[str] = json.loads(done.stdout)
    return modules


def main(peers: list[str]) -> dict[str, dict]:
    rows: dict[str, dict] = {}
    for peer in peers:
        code = IMPORTS[peer][1]
        try:
            cpu_ms(code)  # writes the byte code
            # Side by side, so that a machine that slows down slows both.
            rounds = ROUNDS if peer == "ours" else FEW
            pairs = [(cpu_ms("pass"), cpu_ms(code)) for _ in range(rounds)]
        except RuntimeError as error:
            rows[peer] = {"failed": str(error)}
            continue
        above = statistics.median(full - empty for empty, full in pairs)
        heavy = sorted(set(loaded(code)) & set(HEAVY) - set(loaded("pass")))
        rows[peer] = {"cpu_ms": above, "modules": len(loaded(code)) - len(loaded("pass")), "heavy": heavy}
    lines = [
        [IMPORTS[peer][0], "failed", "", ""]
        if "failed" in row
        else [
            IMPORTS[peer][0],
            f"{row['cpu_ms']:.1f}",
            str(row["modules"]),
            ", ".join(row["heavy"]) or "none",
        ]
        for peer, row in rows.items()
    ]
    columns = ["import", "CPU ms above bare", "modules", f"of {', '.join(HEAVY)}"]
    table("Import", columns, lines)
    failures(rows)
    if "cpu_ms" in rows.get("ours", {}):
        target(f"under 20 ms: {rows['ours']['cpu_ms']:.1f}", met=rows["ours"]["cpu_ms"] < 20)
        target(f"none of {', '.join(HEAVY)}", met=not rows["ours"]["heavy"])
    save("import", rows)
    if rows.get("ours", {}).get("heavy"):
        raise SystemExit(f"importing atomr_agents loads {rows['ours']['heavy']}")
    return rows


if __name__ == "__main__":
    main(sys.argv[1:] or list(IMPORTS))
