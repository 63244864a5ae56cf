"""Writes `dpp/ops/`: a Python method or function for every op of `dpp-ops`, from the op's own Rust file.

    python dpp-client/python/ops_from_rust.py

The doc comment of an op is the one place where its signature, formula, kinds, nulls, NaN and errors are written; what
its `construct` reads gives the parameters' types. Tests compare the result with what stands in `dpp/ops/`, and with
the registry of the built module.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill, indent

HERE = Path(__file__).parent
RUST = HERE.parents[1] / "dpp-ops" / "src" / "ops"
PYTHON = HERE / "dpp" / "ops"

TYPES = {
    "integer": "PerFeature[int]",
    "integer_or": "PerFeature[int]",
    "optional_integer": "PerFeature[int] | None",
    "integers": "PerFeature[Iterable[int]]",
    "text": "PerFeature[str]",
    "optional_text": "str | None",
    "flag_or": "bool",
    "float": "PerFeature[Number]",
    "finite_float": "PerFeature[Number]",
    "finite_float_or": "PerFeature[Number]",
    "optional_float": "PerFeature[Number] | None",
    "bound": "PerFeature[Number] | None",
    "floats": "PerFeature[Iterable[Number]]",
    "number": "PerFeature[Number]",
}
WIDTH = 120


@dataclass
class Op:
    """An op as its Rust file describes it."""

    name: str
    arguments: list[str]
    parameters: set[str]
    types: dict[str, str]
    doc: str
    takes_other: bool

    @property
    def inputs(self) -> list[str]:
        """Names of its feature inputs; none for an op that is a method."""
        return [argument for argument in self.arguments if argument.split("=")[0] not in self.parameters]

    def signature(self) -> str:
        """Python's parameters, typed."""
        return ", ".join(self._typed(argument) for argument in self.arguments)

    def _typed(self, argument: str) -> str:
        name, has_default, default = argument.partition("=")
        if name == "…":
            return "*others: Expr"
        if name.startswith("["):
            return "inputs: Iterable[Expr]"
        if name not in self.parameters:
            return f"{name}: Expr"
        kind = self.types[name]
        if self.takes_other and name == "value":
            kind += " | Expr"
        if has_default:
            if default == "None" and "None" not in kind:
                kind += " | None"
            return f"{name}: {kind} = {default}"
        return f"{name}: {kind} = None" if kind.endswith("None") else f"{name}: {kind}"

    def call(self) -> str:
        """What the method or function returns."""
        given = [argument.split("=")[0] for argument in self.arguments]
        named = [f"{name}={name}" for name in given if name in self.parameters]
        if not self.inputs:
            return f"self._apply({', '.join([repr_of(self.name), *named])})"
        if self.inputs[0].startswith("["):
            inputs = "inputs"
        else:
            inputs = f"({', '.join('*others' if name == '…' else name for name in self.inputs)})"
        return f"join({', '.join([repr_of(self.name), inputs, *named])})"

    def code(self) -> str:
        """The method or function, whole."""
        is_method = not self.inputs
        first = ["self"] if is_method else []
        signature = ", ".join([*first, *([self.signature()] if self.arguments else [])])
        result = "Self" if is_method else "Expr"
        call = self.call()
        if self.takes_other:
            reversed_too = ", reversed=reversed" if "reversed" in self.parameters else ""
            call = f"self._combine({repr_of(self.name)}, value{reversed_too})"
        body = f'"""{self.doc}\n"""\nreturn {call}\n' if "\n" in self.doc else f'"""{self.doc}"""\nreturn {call}\n'
        head = f"def {self.name}({signature}) -> {result}:"
        if len(head) + (4 if is_method else 0) > WIDTH:
            arguments = [*first, *(self._typed(argument) for argument in self.arguments)]
            head = f"def {self.name}(\n" + "".join(f"    {one},\n" for one in arguments) + f") -> {result}:"
        return head + "\n" + indent(body, "    ", lambda line: line.strip() != "")


def repr_of(text: str) -> str:
    return f'"{text}"'


def read(folder: Path) -> list[Op]:
    """The ops of one folder, by name."""
    ops = [read_op(path) for path in sorted(folder.glob("*.rs")) if "ENTRY: Entry" in path.read_text()]
    return sorted(ops, key=lambda op: op.name)


def read_op(path: Path) -> Op:
    text = path.read_text()
    entry = re.search(r'ENTRY: Entry = Entry \{\s*name: "(\w+)",\s*parameters: &\[(.*?)\]', text, re.S)
    assert entry, f"{path}: no ENTRY"
    name, parameters = entry[1], set(re.findall(r'"(\w+)"', entry[2]))
    paragraphs = doc_of(path, text, name)
    signature = re.match(r"`\w+\((.*?)\)`( or `\w+\((.*?)\)`)?: ", paragraphs[0])
    assert signature, f"{path}: the doc does not begin with `{name}(…)`: …"
    arguments = split_arguments(signature[1])
    named = {argument.split("=")[0] for argument in arguments}
    assert parameters <= named, f"{path}: the doc's signature lacks {parameters - named}"
    types = {parameter: type_of(path, text, parameter) for parameter in parameters}
    paragraphs[0] = paragraphs[0][signature.end() :]
    paragraphs[0] = re.sub(r"^(the|each|every|for) ", lambda word: word[0].capitalize(), paragraphs[0])
    return Op(name, arguments, parameters, types, docstring(paragraphs), signature[2] is not None)


def doc_of(path: Path, text: str, name: str) -> list[str]:
    """The doc comment that begins with the op's signature: its first paragraph, then its bullets."""
    for comment in re.findall(r"((?:^///.*\n)+)", text, re.M):
        lines = [line[3:].strip() for line in comment.splitlines()]
        if not lines[0].startswith(f"`{name}("):
            continue
        paragraphs = [""]
        for line in lines:
            if line.startswith("- "):
                paragraphs.append(line)
            else:
                paragraphs[-1] = f"{paragraphs[-1]} {line}".strip()
        return paragraphs
    raise AssertionError(f"{path}: no doc comment begins with `{name}(")


def split_arguments(text: str) -> list[str]:
    """`a, b=1, [c, d]` at its outer commas."""
    return [argument.strip() for argument in re.findall(r"\[.*?\]|[^,\[]+", text) if argument.strip()]


def type_of(path: Path, text: str, parameter: str) -> str:
    """From the call that reads the parameter: in the op's file, or in one that ops share."""
    pattern = rf'reader\s*\.(\w+)\(\s*"{parameter}"|(bound)\(reader, "{parameter}"\)'
    shared = (other.read_text() for other in sorted(RUST.glob("*/*.rs")))
    for source in (text, *shared):
        found = [first or second for first, second in re.findall(pattern, source)]
        found = [method for method in found if method in TYPES]
        if found:
            return TYPES[found[0]]
    raise AssertionError(f"{path}: nothing reads `{parameter}`")


def docstring(paragraphs: list[str]) -> str:
    text = [part.replace("\\", "\\\\") for part in paragraphs]
    first = fill(text[0], WIDTH - 12, break_long_words=False, break_on_hyphens=False)
    if len(text) == 1:
        return first
    rest = (fill(part, WIDTH - 8, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False) for part in text[1:])
    return first + "\n\n" + "\n".join(rest)


def module(folder: str, ops: list[Op]) -> str:
    methods = [op for op in ops if not op.inputs]
    functions = [op for op in ops if op.inputs]
    about = (RUST / folder / "mod.rs").read_text().splitlines()[0].removeprefix("//! ")
    types = [word for word in ("Number", "PerFeature") if any(word in op.signature() for op in ops)]
    code = "".join(op.code() for op in ops)
    lines = [f'"""{about}', "", f"Written by `ops_from_rust.py` from `dpp-ops/src/ops/{folder}/`: change it there.", '"""', ""]
    lines += ["from __future__ import annotations", ""]
    runtime = [*(["Node"] if methods else []), *(["join"] if functions else [])]
    lines += [f"from dpp._node import {', '.join(runtime)}", "", "TYPE_CHECKING = False", "if TYPE_CHECKING:"]
    lines += ["    from collections.abc import Iterable"] if "Iterable" in code else []
    lines += ["    from typing import Self"] if methods else []
    lines += [""] if lines[-1] != "if TYPE_CHECKING:" and (types or "Expr" in code) else []
    lines += [f"    from dpp._node import {', '.join(types)}"] if types else []
    lines += ["    from dpp.expressions import Expr"] if "Expr" in code else []
    text = "\n".join(lines) + "\n"
    if methods:
        text += f'\n\nclass {folder.capitalize()}Ops(Node):\n    """Methods of an expression. {about}"""\n\n    __slots__ = ()\n'
        text += "".join("\n" + indent(op.code(), "    ", lambda line: line.strip() != "") for op in methods)
    return text + "".join("\n\n" + op.code() for op in functions)


def package(groups: dict[str, list[Op]]) -> str:
    methods = sorted(op.name for ops in groups.values() for op in ops if not op.inputs)
    functions = sorted(op.name for ops in groups.values() for op in ops if op.inputs)
    text = '"""The ops: methods of expressions where an op has one feature input, functions where it has several.\n\n'
    text += 'Written by `ops_from_rust.py` from the Rust files of the ops: change it there.\n"""\n\n'
    for folder, ops in groups.items():
        names = [*([f"{folder.capitalize()}Ops"] if any(not op.inputs for op in ops) else [])]
        names += [op.name for op in ops if op.inputs]
        line = f"from dpp.ops.{folder} import {', '.join(names)}"
        if len(line) > WIDTH:
            line = f"from dpp.ops.{folder} import (\n" + "".join(f"    {name},\n" for name in names) + ")"
        text += line + "\n"
    text += "\n__all__ = [\n" + "".join(f"    {repr_of(name)},\n" for name in functions) + "]\n"
    classes = [f"{folder.capitalize()}Ops" for folder, ops in groups.items() if any(not op.inputs for op in ops)]
    text += f"\n\nclass Methods({', '.join(classes)}):\n"
    text += '    """Every op that has one feature input."""\n\n    __slots__ = ()\n'
    return text + "\n\nMETHODS = [\n" + "".join(f"    {repr_of(name)},\n" for name in methods) + "]\n"


def generate() -> dict[str, str]:
    """Text by file name, of everything in `dpp/ops/`."""
    groups = {folder.name: read(folder) for folder in sorted(RUST.iterdir()) if folder.is_dir()}
    groups = {name: ops for name, ops in groups.items() if ops}
    files = {f"{folder}.py": module(folder, ops) for folder, ops in groups.items()}
    return files | {"__init__.py": package(groups)}


def main() -> None:
    for name, text in generate().items():
        (PYTHON / name).write_text(text)


if __name__ == "__main__":
    main()
