# SPDX-License-Identifier: MIT
"""What the guests' suites said: one JUnit file of all, the skipped tests held against the allowed ones, a
summary."""

import fnmatch
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TypeAlias

ALLOWED = Path(__file__).with_name("allowed-skips.txt")


# (architecture, test, reason), each with * for anything
Rule: TypeAlias = tuple[str, str, str]


class Outcome:
    """The tests of one guest."""

    def __init__(self, arch: str, results: Path) -> None:
        self.arch = arch
        self.suites = [ET.parse(path).getroot() for path in sorted(results.glob("junit-*.xml"))]
        self.passed = 0
        self.failed: list[str] = []
        self.again: list[str] = []  # failed, and passed at a second try
        self.skipped: list[tuple[str, str]] = []
        recovered = second_tries(results)
        for case in (case for suite in self.suites for case in suite.iter("testcase")):
            name = name_of(case)
            skip = case.find("skipped")
            faults = [fault for fault in case if fault.tag in ("failure", "error")]
            if faults and name in recovered:
                self.again.append(name)
                self.passed += 1
                for fault in faults:
                    fault.tag = "system-err"
            elif faults:
                self.failed.append(name)
            elif skip is not None:
                self.skipped.append((name, skip.get("message") or ""))
            else:
                self.passed += 1

    def falls_under(self, rule: Rule, skip: tuple[str, str]) -> bool:
        return all(map(fnmatch.fnmatchcase, (self.arch, *skip), rule))

    @property
    def not_allowed(self) -> list[tuple[str, str]]:
        rules = allowed_skips()
        return [skip for skip in self.skipped if not any(self.falls_under(rule, skip) for rule in rules)]

    def counts(self) -> str:
        return f"{self.passed} passed, {len(self.failed)} failed, {len(self.skipped)} skipped"


def name_of(case: ET.Element) -> str:
    return f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"


def second_tries(results: Path) -> set[str]:
    """The tests that passed when they were run again."""
    found: dict[str, bool] = {}
    for path in results.glob("again-*.xml"):
        for case in ET.parse(path).getroot().iter("testcase"):
            found[name_of(case)] = found.get(name_of(case), True) and not len(case)
    return {name for name, is_good in found.items() if is_good}


def unused_rules(outcomes: list[Outcome]) -> list[Rule]:
    """Those that nothing fell under, when all guests ran: they would hide a test that is skipped one day."""
    return [
        rule
        for rule in allowed_skips()
        if not any(one.falls_under(rule, skip) for one in outcomes for skip in one.skipped)
    ]


def allowed_skips() -> list[Rule]:
    found = []
    for line in ALLOWED.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            arch, test, reason = (field.strip() for field in line.split("|"))
            found.append((arch, test, reason))
    return found


def costs(results: Path) -> dict[str, float]:
    """What guest/inside/test_cost.py measured."""
    path = results / "cost.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


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
    lines += [f"  passed at the second try only: {name}" for name in outcome.again]
    for reason, names in sorted(by_reason.items()):
        lines.append(f"  skipped {len(names)}: {reason} ({names[0]}{', …' if len(names) > 1 else ''})")
    lines += [
        f"  skipped, and not in {ALLOWED.name}: {name}: {reason}" for name, reason in outcome.not_allowed
    ]
    return "\n".join(lines)
