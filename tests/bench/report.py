# SPDX-License-Identifier: MIT
"""What was measured, as a table for people, as Markdown and as JSON. Measures nothing."""

import json
import os
import time
from pathlib import Path

COLUMNS = ("contender", "median", "p10", "p90", "ratio", "budget", "")


class Row:
    """One contender under one heading: median, 10th and 90th percentile, ratio of medians to `ratio_to`."""

    def __init__(
        self,
        contender: str,
        median: float | None,
        unit: str,
        spread: tuple[float, float] | None = None,
        ratio: float | None = None,
        budget: str = "",
        ok: bool | None = None,
        note: str = "",
    ) -> None:
        self.contender = contender
        self.median = median
        self.unit = unit
        self.spread = spread
        self.ratio = ratio
        self.budget = budget
        self.ok = ok
        self.note = note

    def cells(self) -> tuple[str, ...]:
        verdict = {True: "ok", False: "OVER", None: ""}[self.ok]
        note = f" ({self.note})" if self.note else ""
        return (
            self.contender + note,
            number(self.median, self.unit) if self.median is not None else "not measured",
            *((number(end, self.unit) for end in self.spread) if self.spread else ("", "")),
            f"{self.ratio:.2f}" if self.ratio is not None else "",
            self.budget,
            verdict,
        )


class Section:
    """A heading, a line on how it was measured, and its rows."""

    def __init__(self, title: str, how: str, ratio_to: str = "") -> None:
        self.title = title
        self.how = how
        self.ratio_to = ratio_to
        self.rows: list[Row] = []
        self.remarks: list[str] = []

    def add(self, row: Row) -> None:
        self.rows.append(row)

    def say(self, remark: str) -> None:
        self.remarks.append(remark)


def number(value: float, unit: str) -> str:
    """Three digits that count, and the unit."""
    digits = 0 if value >= 100 or value == int(value) else 1 if value >= 10 else 2
    return f"{value:.{digits}f} {unit}".rstrip()


def heading(section: Section) -> list[str]:
    ratio = f"ratio: {section.ratio_to}" if section.ratio_to else "ratio"
    return [ratio if cell == "ratio" else cell for cell in COLUMNS]


def as_text(section: Section) -> str:
    table = [heading(section), *(list(row.cells()) for row in section.rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(COLUMNS))]
    lines = [section.title, f"  {section.how}"]
    for line in table:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:5], widths[1:5], strict=True)]
        cells += [cell.ljust(width) for cell, width in zip(line[5:], widths[5:], strict=True)]
        lines.append("    " + "  ".join(cells).rstrip())
    return "\n".join(lines + [f"  {remark}" for remark in section.remarks])


def as_markdown(section: Section) -> str:
    table = [
        heading(section),
        ["---", *["---:"] * 4, "---", "---"],
        *(list(row.cells()) for row in section.rows),
    ]
    lines = [f"### {section.title}", "", section.how, ""]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in table]
    return "\n".join([*lines, "", *(f"* {remark}" for remark in section.remarks)]).rstrip() + "\n"


def machine() -> dict[str, str]:
    """What the numbers belong to."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "cpu model", "Model"):
            model = value.strip()
            break
    system = os.uname()
    return {
        "date": time.strftime("%Y-%m-%d"),
        "kernel": f"{system.sysname} {system.release} {system.machine}",
        "processor": f"{model}, {os.cpu_count()} cores",
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def write_json(path: Path, facts: dict[str, str], sections: list[Section]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": facts,
        "sections": [{**vars(section), "rows": [vars(row) for row in section.rows]} for section in sections],
    }
    path.write_text(json.dumps(content, indent=1) + "\n")


def over_budget(sections: list[Section]) -> list[str]:
    return [
        f"{section.title}: {row.contender}: {number(row.median or 0, row.unit)}, budget {row.budget}"
        for section in sections
        for row in section.rows
        if row.ok is False
    ]
