"""Reference tables made from the code, so that a page about fields cannot rot."""

import ast
import dataclasses
import inspect
import re
import textwrap
import types
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from edgeseq.bench.results import BenchResult
from edgeseq.bundle import Manifest
from edgeseq.contract import Contract
from edgeseq.devices import DeviceProfile, list_devices, load_device
from edgeseq.errors import EdgeseqError
from edgeseq.recipes import Recipe, list_recipes, load_recipe

_BLOCK = re.compile(
    r"(<!-- generated: (?P<name>[a-z0-9 ]+) -->\n).*?(<!-- end of generated -->)", re.DOTALL
)
_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false"}


def device_list() -> str:
    """Return the table of the shipped device profiles, as Markdown."""
    lines = ["| device | what it is | status | provider |", "|---|---|---|---|"]
    for name in list_devices():
        profile = load_device(name)
        summary = profile.summary.replace("|", r"\|")
        lines.append(f"| `{name}` | {summary} | {profile.status} | {profile.provider} |")
    return "\n".join(lines)


def recipe_list() -> str:
    """Return the table of the shipped recipes, as Markdown."""
    lines = [
        "| recipe | what it makes | largest error / RMS | RMS error / RMS | decisions changed |",
        "|---|---|---|---|---|",
    ]
    for name in list_recipes():
        recipe = load_recipe(name)
        limit = recipe.tolerance
        lines.append(
            f"| `{name}` | {recipe.summary} | {limit.relative_error:g} | {limit.noise:g} | "
            f"{limit.changed_decisions:.1%} |"
        )
    return "\n".join(lines)


def fields_of(schema: type[Any]) -> Callable[[], str]:
    """Return what renders the table of a dataclass's fields, as Markdown."""

    def render() -> str:
        head = ("| field | takes | default | meaning |", "|---|---|---|---|")
        return "\n".join((*head, *_rows(schema, "", {Contract: "Contract fields"})))

    return render


BLOCKS: dict[str, Callable[[], str]] = {
    "device fields": fields_of(DeviceProfile),
    "device list": device_list,
    "contract fields": fields_of(Contract),
    "manifest fields": fields_of(Manifest),
    "recipe fields": fields_of(Recipe),
    "recipe list": recipe_list,
    "result fields": fields_of(BenchResult),
}
"""What a page may ask for between `<!-- generated: NAME -->` and `<!-- end of generated -->`."""


def refresh(page: str, blocks: Mapping[str, Callable[[], str]] = BLOCKS) -> str:
    """Return the Markdown `page` with its generated blocks made anew."""

    def block(found: re.Match[str]) -> str:
        name = found["name"]
        if name not in blocks:
            known = ", ".join(blocks)
            raise EdgeseqError(f'no generated block "{name}"; there are: {known}')
        return f"{found[1]}\n{blocks[name]()}\n\n{found[3]}"

    return _BLOCK.sub(block, page)


def _rows(schema: type[Any], prefix: str, shown: dict[type[Any], str]) -> Iterator[str]:
    """Yield a row for every field; a nested table follows its own row with dotted names.

    `shown` says under which name a kind of table stands already: it is not repeated.
    """
    hints, meanings = get_type_hints(schema), field_docs(schema)
    for field in dataclasses.fields(schema):
        hint = hints[field.name]
        nested, name = _nested(hint), f"{prefix}{field.name}"
        cells = (
            f"`{name}`",
            _takes(hint) + (f", as `{shown[nested]}`" if nested in shown else ""),
            _default(field),
            meanings.get(field.name, ""),
        )
        yield "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
        if nested and nested not in shown:
            shown[nested] = name
            inner = ".NAME." if get_origin(hint) is dict else "."
            yield from _rows(nested, f"{name}{inner}", shown)


def field_docs(schema: type[Any]) -> dict[str, str]:
    """Return the docstring below each field of a dataclass, inherited ones too, on one line."""
    inherited = [field_docs(base) for base in schema.__bases__ if dataclasses.is_dataclass(base)]
    return {name: text for docs in [*inherited, _own_docs(schema)] for name, text in docs.items()}


def _own_docs(schema: type[Any]) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(schema)))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    return {
        field.target.id: " ".join(ast.literal_eval(text.value).split())
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }


def _nested(hint: Any) -> type[Any] | None:  # noqa: ANN401 - any annotation
    """Return the dataclass that `hint` is, or is a list of."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _nested(next(item for item in arguments if item is not type(None)))
    inner = {tuple: arguments[0], dict: arguments[-1]}[origin] if origin in (tuple, dict) else hint
    return inner if isinstance(inner, type) and dataclasses.is_dataclass(inner) else None


def _takes(hint: Any) -> str:  # noqa: ANN401 - any annotation
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _takes(next(item for item in arguments if item is not type(None)))
    if origin is Literal:
        return ", ".join(f"`{item}`" for item in arguments)
    if origin is tuple:
        return f"list of {_takes(arguments[0])}"
    if origin is dict:
        return f"table of {_takes(arguments[1])}"
    return "table" if dataclasses.is_dataclass(hint) else _WORDS[hint]


def _default(field: "dataclasses.Field[Any]") -> str:
    if field.default_factory is not dataclasses.MISSING:
        return ""  # a table: its own rows have the defaults
    value = field.default
    if value is dataclasses.MISSING:
        return "required"
    if value in (None, "", ()):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
