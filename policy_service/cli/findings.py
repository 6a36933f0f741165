"""Writes findings: for people as compilers do, and in the forms that programs read.

A file's name and lines are shown with escapes for whatever cannot be seen, so
that none can move the cursor, colour the text or pass for another line.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from policy_service import __version__
from policy_service.cli.output import print_json
from policy_service.policy_text import CODES, Finding, Level, lines_of

Findings = Sequence[Finding]

_MOST_SHOWN: Final = 120
_COLOURS: Final = {Level.ERROR: "bold red", Level.WARNING: "bold yellow"}
_SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def visible(text: str) -> str:
    """The text with an escape in place of each character that cannot be seen; a tab is a space."""
    return "".join(_visible(character) for character in text)


def write_text(name: str, text: str, found: Findings) -> None:
    """``file:line:column: level: words [code]``, the line with the place marked, and the hint."""
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    lines = [line.text for line in lines_of(text)]
    for finding in found:
        head = Text(f"{visible(name)}:{finding.line}:{finding.column}: ", style="bold")
        head.append(f"{finding.level}:", style=_COLOURS[finding.level])
        head.append(f" {finding.text} ").append(f"[{finding.code}]", style="dim")
        console.print(head)
        shown, blanks, carets = _marked(lines[finding.line - 1], finding)
        margin = f"{finding.line:>5} | "
        console.print(Text(margin, style="dim").append(shown, style="not dim"))
        console.print(
            Text(f"{'| ':>{len(margin)}}", style="dim").append(" " * blanks).append(carets, style="not dim red")
        )
        console.print(Text(" hint: ", style="bold").append(finding.hint, style="not bold"), end="\n\n")
    errors = sum(finding.level is Level.ERROR for finding in found)
    summary = f"{_count(errors, 'error')}, {_count(len(found) - errors, 'warning')}" if found else "sound"
    console.print(Text(f"{visible(name)}: {summary}"))


def write_json(name: str, text: str, found: Findings) -> None:
    """One document; columns count characters from 1, the end excluded."""
    del text
    errors = sum(finding.level is Level.ERROR for finding in found)
    document = {
        "file": visible(name),
        "errors": errors,
        "warnings": len(found) - errors,
        "findings": [
            {
                "level": finding.level,
                "code": finding.code,
                "line": finding.line,
                "column": finding.column,
                "end_column": finding.end_column,
                "text": finding.text,
                "hint": finding.hint,
            }
            for finding in found
        ],
    }
    print_json(document)


def write_github(name: str, text: str, found: Findings) -> None:
    """Workflow commands, which GitHub shows beside the line.

    Source: docs.github.com, "Workflow commands for GitHub Actions"; the escapes
    are those of its toolkit (actions/toolkit, packages/core/src/command.ts).
    """
    del text
    for finding in found:
        facts = {
            "file": visible(name),
            "line": finding.line,
            "col": finding.column,
            "endColumn": finding.end_column,
            "title": f"policy-service seed lint: {finding.code}",
        }
        properties = ",".join(f"{key}={_property(str(value))}" for key, value in facts.items())
        sys.stdout.write(f"::{finding.level} {properties}::{_message(f'{finding.text}; {finding.hint}')}\n")


def write_sarif(name: str, text: str, found: Findings) -> None:
    """SARIF 2.1.0 (OASIS), as code scanning reads it."""
    del text
    codes = list(CODES)
    driver = {
        "name": "policy-service seed lint",
        "semanticVersion": __version__,
        "rules": [
            {
                "id": code,
                "shortDescription": {"text": meaning.text},
                "defaultConfiguration": {"level": meaning.level},
            }
            for code, meaning in CODES.items()
        ],
    }
    results = [
        {
            "ruleId": finding.code,
            "ruleIndex": codes.index(finding.code),
            "level": finding.level,
            "message": {"text": f"{finding.text}; {finding.hint}"},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(name)}, "region": _region(finding)}}],
        }
        for finding in found
    ]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    print_json({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]})


def _region(finding: Finding) -> dict[str, Any]:
    return {"startLine": finding.line, "startColumn": finding.column, "endColumn": finding.end_column}


def _uri(name: str) -> str:
    """A relative path stays relative, as code scanning looks for it in the repository."""
    path = Path(name)
    return f"file://{_quoted(path)}" if path.is_absolute() else _quoted(path)


def _quoted(path: Path) -> str:
    return quote(path.as_posix().encode("utf-8", "surrogateescape"))


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def _marked(line: str, finding: Finding) -> tuple[str, int, str]:
    """The part of the line around the place, the cells before it, and a caret for each cell of it."""
    start, end = finding.column - 1, max(finding.end_column - 1, finding.column)
    first = max(0, start - _MOST_SHOWN // 2) if len(line) > _MOST_SHOWN else 0
    last = first + _MOST_SHOWN
    before, marked, after = (
        visible(part) for part in (line[first:start], line[start : min(end, last)], line[end:last])
    )
    lead = "… " if first else ""
    tail = " …" if last < len(line) else ""
    return f"{lead}{before}{marked}{after}{tail}", cell_len(lead + before), "^" * max(1, cell_len(marked))


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":  # a byte that is not UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return " " if character == "\t" else repr(character)[1:-1]


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
