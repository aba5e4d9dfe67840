# SPDX-License-Identifier: MIT
"""What the guests' suites said: one JUnit file of all, the skipped tests held against the allowed ones, a
summary."""

import fnmatch
import xml.etree.ElementTree as ET
from pathlib import Path

ALLOWED = Path(__file__).with_name("allowed-skips.txt")


class Outcome:
    """The tests of one guest."""

    def __init__(self, arch: str, results: Path) -> None:
        self.arch = arch
        self.suites = [ET.parse(path).getroot() for path in sorted(results.glob("junit-*.xml"))]
        self.passed = 0
        self.failed: list[str] = []
        self.skipped: list[tuple[str, str]] = []
        for case in (case for suite in self.suites for case in suite.iter("testcase")):
            name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
            skip = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                self.failed.append(name)
            elif skip is not None:
                self.skipped.append((name, skip.get("message") or ""))
            else:
                self.passed += 1

    @property
    def not_allowed(self) -> list[tuple[str, str]]:
        rules = allowed_skips()
        return [
            (name, reason)
            for name, reason in self.skipped
            if not any(
                fnmatch.fnmatchcase(self.arch, arch)
                and fnmatch.fnmatchcase(name, pattern)
                and fnmatch.fnmatchcase(reason, text)
                for arch, pattern, text in rules
            )
        ]

    def counts(self) -> str:
        return f"{self.passed} passed, {len(self.failed)} failed, {len(self.skipped)} skipped"


def allowed_skips() -> list[tuple[str, str, str]]:
    """(architecture, test, reason), each with * for anything."""
    found = []
    for line in ALLOWED.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            arch, test, reason = (field.strip() for field in line.split("|"))
            found.append((arch, test, reason))
    return found


def write_junit(outcomes: list[Outcome], out: Path) -> None:
    merged = ET.Element("testsuites")
    for outcome in outcomes:
        for suite in (found for top in outcome.suites for found in top.iter("testsuite")):
            suite.set("name", f"guest-{outcome.arch}")
            for case in suite.iter("testcase"):
                case.set("classname", f"{outcome.arch}.{case.get('classname', '')}")
            merged.append(suite)
    out.parent.mkdir(parents=True, exist_ok=True)
    ET.ElementTree(merged).write(out, encoding="utf-8", xml_declaration=True)


def describe(outcome: Outcome) -> str:
    """The skipped tests by reason, and what should not have been skipped."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in outcome.skipped:
        by_reason.setdefault(reason, []).append(name)
    lines = [f"{outcome.arch}: {outcome.counts()}"]
    lines += [f"  failed: {name}" for name in outcome.failed]
    for reason, names in sorted(by_reason.items()):
        lines.append(f"  skipped {len(names)}: {reason} ({names[0]}{', …' if len(names) > 1 else ''})")
    lines += [
        f"  skipped, and not in {ALLOWED.name}: {name}: {reason}" for name, reason in outcome.not_allowed
    ]
    return "\n".join(lines)
