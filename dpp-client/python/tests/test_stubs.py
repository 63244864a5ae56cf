"""The stub says what the built module has: every name, every signature, nothing more."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import dpp
from dpp import _dpp

STUB = ast.parse((Path(dpp.__file__).parent / "_dpp.pyi").read_text())

# Slots of the type, which Python gives no signature, or gives under its own rules.
SLOTS = {"__new__", "__buffer__", "__release_buffer__"}


def names(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    found: dict[str, ast.stmt] = {}
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            found[statement.name] = statement
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            found[statement.target.id] = statement
    return found


def parameters(function: ast.FunctionDef, *, bound: bool) -> list[tuple[str, str, str]]:
    """(name, kind, default) of every parameter but self."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args][1 if bound else 0 :]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    found = [("positional", argument, default) for argument, default in zip(positional, defaults)]
    found += [("keyword", argument, default) for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults)]
    return [(argument.arg, kind, "" if default is None else ast.unparse(default)) for kind, argument, default in found]


def built_parameters(signature: inspect.Signature) -> list[tuple[str, str, str]]:
    found = []
    for parameter in signature.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        kind = "keyword" if parameter.kind is parameter.KEYWORD_ONLY else "positional"
        default = "" if parameter.default is parameter.empty else repr(parameter.default)
        found.append((parameter.name, kind, default))
    return found


def built_names(thing: object) -> set[str]:
    ignored = {
        "__doc__",
        "__module__",
        "__file__",
        "__name__",
        "__package__",
        "__loader__",
        "__spec__",
        "__all__",
        "__repr__",
    }
    return {name for name in vars(thing) if name not in ignored}


def test_the_module_has_what_the_stub_says():
    assert built_names(_dpp) == set(names(STUB.body))


def test_functions_have_their_signatures():
    for name, statement in names(STUB.body).items():
        if isinstance(statement, ast.FunctionDef):
            built = inspect.signature(getattr(_dpp, name))
            assert built_parameters(built) == parameters(statement, bound=False), name


def test_classes_have_their_members():
    for name, statement in names(STUB.body).items():
        if not isinstance(statement, ast.ClassDef):
            continue
        built, stub = getattr(_dpp, name), names(statement.body)
        assert built_names(built) - SLOTS == set(stub) - SLOTS, name
        for member, function in stub.items():
            assert isinstance(function, ast.FunctionDef)
            decorators = [ast.unparse(decorator) for decorator in function.decorator_list]
            if "property" in decorators:
                assert inspect.isdatadescriptor(vars(built)[member]), f"{name}.{member}"
            elif member == "__new__":
                assert built_parameters(inspect.signature(built)) == parameters(function, bound=True), name
            elif member not in SLOTS:
                signature = inspect.signature(getattr(built, member))
                bound = "staticmethod" not in decorators
                assert built_parameters(signature) == parameters(function, bound=bound), f"{name}.{member}"


def test_everything_in_the_stub_is_documented():
    for name, statement in names(STUB.body).items():
        if isinstance(statement, ast.AnnAssign):
            continue
        assert ast.get_docstring(statement), name
        for member, function in names(getattr(statement, "body", [])).items():
            assert ast.get_docstring(function), f"{name}.{member}"


def test_a_class_without_constructor_cannot_be_made():
    for kind in (_dpp.Batch, _dpp.Batches, _dpp.Snapshot, _dpp.Tensor):
        try:
            kind()
        except TypeError:
            continue
        raise AssertionError(kind)
