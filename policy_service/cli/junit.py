"""Results of expectations as JUnit XML: a suite for each file, a case for each decision."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from policy_service.cli.verdicts import cells, word
from policy_service.seed import Result, Tested

# XML 1.0 has no way to write these, not even escaped.
_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(path: Path, files: Iterable[Tested]) -> None:
    """Write the report; raises OSError."""
    suites = [_suite(tested) for tested in files]
    root = ET.Element("testsuites", {"name": "policy-service seed test", **_sums(suites)})
    root.extend(suites)
    ET.indent(root)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _suite(tested: Tested) -> ET.Element:
    suite = _element(
        "testsuite",
        name=tested.file,
        tests=str(len(tested.results)),
        failures=str(len(tested.failed)),
        errors="0",
        skipped="0",
    )
    suite.extend(_case(tested.file, result) for result in tested.results)
    return suite


def _case(file: str, result: Result) -> ET.Element:
    name = " ".join(cell for cell in cells(result.question) if cell)
    case = _element("testcase", name=name, classname=Path(file).stem, file=file, line=str(result.line))
    if not result.passed:
        message = f"expected {word(result.expected)}, found {word(result.found)}: {result.reason}"
        failure = _element("failure", message=message, type="unexpected decision")
        failure.text = _plain(
            f"expected: {word(result.expected)}\nfound:    {word(result.found)}\n"
            f"reason:   {result.reason}\nwhy:      {result.why}\nline:     {file}:{result.line}\n"
        )
        case.append(failure)
    return case


def _sums(suites: list[ET.Element]) -> dict[str, str]:
    return {name: str(sum(int(suite.attrib[name]) for suite in suites)) for name in ("tests", "failures", "errors")}


def _element(tag: str, **attributes: str) -> ET.Element:
    return ET.Element(tag, {name: _plain(value) for name, value in attributes.items()})


def _plain(text: str) -> str:
    return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", text)
