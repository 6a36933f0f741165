"""Reads YAML as plain values, and tells in which line each stood.

All scalars are text: YAML's own guessing would make a number of the username
1001 and a boolean of the username "no". Refuses what is not YAML and keys that
stand twice, with file and line.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from policy_service.policy_text.files import BrokenPolicy, Fault


class _Loader(yaml.BaseLoader):
    """Reads a key that stands twice as the fault that it is; YAML would let the last one win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> tuple[yaml.Node | None, Any]:
    """The file as nodes, which know their lines, and as plain values; raises BrokenPolicy."""
    try:
        text = path.read_text(encoding="utf-8")
        loader = _Loader(text)
        root = loader.get_single_node()
        return root, loader.construct_document(root) if root else None
    except (OSError, UnicodeDecodeError) as fault:
        raise BrokenPolicy(str(path), [Fault(line=1, text=f"cannot be read: {fault}")]) from fault
    except yaml.reader.ReaderError as fault:
        line = text.count("\n", 0, fault.position) + 1
        raise BrokenPolicy(str(path), [Fault(line=line, text=f"is not YAML: {fault.reason}")]) from fault
    except yaml.MarkedYAMLError as fault:
        line = fault.problem_mark.line + 1 if fault.problem_mark else 1
        raise BrokenPolicy(str(path), [Fault(line=line, text=f"is not YAML: {fault.problem}")]) from fault
    except RecursionError as fault:
        raise BrokenPolicy(str(path), [Fault(line=1, text="is nested too deeply")]) from fault


def line_of(node: yaml.Node | None, steps: Sequence[int | str]) -> int:
    """The line to which steps through keys and places lead; a step that no key or place answers to is passed over."""
    if node is None:
        return 1
    mark = node.start_mark
    for step in steps:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == step:
                    mark, node = key.start_mark, value
                    break
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            mark = node.start_mark
    return mark.line + 1
