"""Strict TOML: a table becomes a frozen dataclass and back, or every mistake is named at once.

A dataclass is the schema. Its fields may be `str`, `int`, `float`, `bool`, `Literal[...]`,
`tuple[X, ...]`, `dict[str, X]`, another dataclass, or any of these `| None`.
"""

import dataclasses
import difflib
import json
import re
import tomllib
import types
from collections.abc import Iterator, Mapping
from importlib.resources.abc import Traversable
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from edgeseq.errors import ConfigError, EdgeseqError

T = TypeVar("T")


def load_toml(file: Traversable, schema: type[T]) -> T:
    """Read `file` as the dataclass `schema`; raise `ConfigError` with every mistake."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(file), [f"not TOML: {error}"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise EdgeseqError(f"cannot read {file}: {error}") from None
    return parse(table, schema, where=str(file))


def to_toml(value: Any) -> str:  # noqa: ANN401 - any dataclass
    """Return a dataclass as TOML that `load_toml` reads back; what is a default is left out."""
    return "\n".join(_lines(_said(value), ())) + "\n"


def _said(value: Any) -> dict[str, Any]:  # noqa: ANN401 - any dataclass
    """Return the fields that are no defaults."""
    said = {}
    for field in dataclasses.fields(value):
        own = getattr(value, field.name)
        made = field.default_factory
        default = field.default if made is dataclasses.MISSING else made()
        if own is not None and own != default:
            said[field.name] = _plain(own)
    return said


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value of a field
    if dataclasses.is_dataclass(value):
        return _said(value)
    if isinstance(value, Mapping):
        return {key: _plain(own) for key, own in value.items()}
    return [*map(_plain, value)] if isinstance(value, tuple) else value


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Yield a table's lines: its own values first, as TOML wants it, then the tables in it."""
    if path:
        yield f"\n[{'.'.join(map(_key, path))}]"
    inner = {key: own for key, own in table.items() if isinstance(own, Mapping)}
    for key, own in table.items():
        if key not in inner:
            yield f"{_key(key)} = {_written(own)}"
    for key, own in inner.items():
        yield from _lines(own, (*path, key))


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _written(name)


def _written(value: object) -> str:
    if isinstance(value, Mapping):
        items = (f"{_key(key)} = {_written(own)}" for key, own in value.items())
        return f"{{ {', '.join(items)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool) else repr(value)


def parse(table: Mapping[str, Any], schema: type[T], *, where: str) -> T:
    """Turn `table` into `schema`; raise `ConfigError` naming `where` and every mistake."""
    mistakes: list[str] = []
    value = _dataclass(table, schema, "", mistakes)
    if mistakes:
        raise ConfigError(where, mistakes)
    try:
        return schema(**value)
    except ConfigError as error:  # a __post_init__ that found more
        raise ConfigError(where, error.mistakes) from None


def _dataclass(
    table: Mapping[str, Any], schema: type[Any], path: str, mistakes: list[str]
) -> dict[str, Any]:
    """Convert the keys of `table`; nested dataclasses are built, the outermost is left to parse."""
    hints = get_type_hints(schema)
    fields = {field.name: field for field in dataclasses.fields(schema) if field.init}
    for key in sorted(table.keys() - fields.keys()):
        close = difflib.get_close_matches(key, fields, n=1)
        hint = f'; did you mean "{close[0]}"?' if close else f"; allowed: {', '.join(fields)}"
        mistakes.append(f"{path}{key}: unknown key{hint}")
    values = {}
    for name, field in fields.items():
        if name in table:
            values[name] = _value(table[name], hints[name], f"{path}{name}", mistakes)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            mistakes.append(f"{path}{name}: missing; expected {_describe(hints[name])}")
    return values


def _value(value: Any, kind: Any, path: str, mistakes: list[str]) -> Any:  # noqa: ANN401 - any TOML value
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        inner = next(item for item in arguments if item is not type(None))
        return None if value is None else _value(value, inner, path, mistakes)
    if origin is Literal and value in arguments:
        return value
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(
            _value(item, arguments[0], f"{path}[{index}]", mistakes)
            for index, item in enumerate(value)
        )
    if origin is dict and isinstance(value, Mapping):
        return {
            key: _value(item, arguments[1], f"{path}.{key}", mistakes)
            for key, item in value.items()
        }
    if dataclasses.is_dataclass(kind) and isinstance(kind, type) and isinstance(value, Mapping):
        before = len(mistakes)
        values = _dataclass(value, kind, f"{path}.", mistakes)
        if len(mistakes) > before:
            return None
        try:
            return kind(**values)
        except ConfigError as error:
            mistakes.extend(f"{path}.{mistake}" for mistake in error.mistakes)
            return None
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind in (str, int, bool) and type(value) is kind:
        return value
    mistakes.append(f"{path}: {value!r} is not {_describe(kind)}")
    return None


def _describe(kind: Any) -> str:  # noqa: ANN401 - any annotation
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _describe(next(item for item in arguments if item is not type(None)))
    if origin is Literal:
        return "one of " + ", ".join(repr(item) for item in arguments)
    if origin is tuple:
        return f"a list, each item {_describe(arguments[0])}"
    if origin is dict or dataclasses.is_dataclass(kind):
        return "a table"
    return {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}[kind]
