"""The files that `brokenreg exam` writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from brokenreg.exam.case_results import CaseResult
from brokenreg.exam.earlier_results import EarlierResults
from brokenreg.exam.examination import Examination, document_of
from brokenreg.wording import counted


def write_files(
    files: Mapping[str, Path],
    examination: Examination,
    results: Sequence[CaseResult],
    before: EarlierResults | None,
    merged: Sequence[EarlierResults],
) -> None:
    """Write the reports with these names: `json`, `junit` and `html`. Raise `OSError`."""
    unfinished = _unfinished(examination, results)
    reports = [each.report for each in sorted(results, key=lambda each: each.case.name)]
    for name, path in files.items():
        if name == "json":
            write_json(path, examination, results, before, merged)
        elif name == "junit":
            from brokenreg.exam.junit import junit_xml

            path.write_bytes(junit_xml(reports, unfinished=unfinished))
        else:
            from brokenreg.exam.html_report import html_report

            others = [report for each in merged for report in each.labelled_reports()]
            everything = sorted([*reports, *others], key=lambda each: each.scenario)
            text = html_report(everything, title="brokenreg exam", noun="case", unfinished=unfinished)
            path.write_text(text, encoding="utf-8")


def _unfinished(examination: Examination, results: Sequence[CaseResult]) -> str:
    """Return how many cases are missing because a signal stopped the exam; empty if none is."""
    done = {each.case.name for each in results}
    missing = sum(each.name not in done for each in examination.cases)
    if not missing:
        return ""
    return f"{missing} of {counted(len(results) + missing, 'case')} not run, because the exam was stopped"


def write_json(
    path: Path,
    examination: Examination,
    results: Sequence[CaseResult],
    before: EarlierResults | None,
    merged: Sequence[EarlierResults],
) -> None:
    """Write all results so that a kill leaves the old file or the new one. Raise `OSError`."""
    document = document_of(examination, results)
    if before is not None:
        document["commands"] = {**before.commands, **document["commands"]}
    others = {each.label: each.document for each in merged}
    if others or (before is not None and "merged" in before.document):
        document["merged"] = {**(before.document.get("merged", {}) if before is not None else {}), **others}
    text = json.dumps(document, indent=2) + "\n"
    if path.exists() and not path.is_file():  # a device or a pipe
        path.write_text(text, encoding="utf-8")
        return
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
