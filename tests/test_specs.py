"""A TOML becomes a frozen dataclass, or every mistake in it is named at once."""

from dataclasses import dataclass, field
from typing import Literal

import pytest

from edgeseq.errors import ConfigError, EdgeseqError
from edgeseq.specs import load_toml, parse


@dataclass(frozen=True)
class Inner:
    size: int
    names: tuple[str, ...] = ()

    def __post_init__(self):
        if self.size < 0:
            raise ConfigError("inner", [f"size: {self.size} is negative"])


@dataclass(frozen=True)
class Outer:
    kind: Literal["a", "b"]
    rate: float
    inner: Inner
    on: bool = False
    many: tuple[Inner, ...] = ()
    by_name: dict[str, Inner] = field(default_factory=dict)
    limit: int | None = None


GOOD = {"kind": "a", "rate": 2, "inner": {"size": 1}}


def mistakes(**changes):
    with pytest.raises(ConfigError) as error:
        parse({**GOOD, **changes}, Outer, where="x.toml")
    assert error.value.exit_code == 2
    return error.value.mistakes


def test_every_kind_of_value():
    table = GOOD | {
        "inner": {"size": 1, "names": ["x", "y"]},
        "many": [{"size": 2}, {"size": 3}],
        "by_name": {"one": {"size": 4}},
        "limit": 5,
        "on": True,
    }
    assert parse(table, Outer, where="x") == Outer(
        kind="a",
        rate=2.0,
        inner=Inner(1, ("x", "y")),
        on=True,
        many=(Inner(2), Inner(3)),
        by_name={"one": Inner(4)},
        limit=5,
    )
    assert type(parse(table, Outer, where="x").rate) is float


def test_all_mistakes_at_once():
    with pytest.raises(ConfigError) as error:
        parse({"kidn": "a", "rate": "fast", "inner": {"size": 1.5}}, Outer, where="x.toml")
    assert str(error.value) == (
        "x.toml: 4 mistakes\n"
        '  - kidn: unknown key; did you mean "kind"?\n'
        "  - kind: missing; expected one of 'a', 'b'\n"
        "  - rate: 'fast' is not a number\n"
        "  - inner.size: 1.5 is not a whole number"
    )


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        ({"kind": "c"}, "kind: 'c' is not one of 'a', 'b'"),
        ({"kind": ["a"]}, "kind: ['a'] is not one of 'a', 'b'"),
        ({"rate": True}, "rate: True is not a number"),
        ({"on": 1}, "on: 1 is not true or false"),
        ({"limit": True}, "limit: True is not a whole number"),
        ({"inner": 3}, "inner: 3 is not a table"),
        ({"inner": {}}, "inner.size: missing; expected a whole number"),
        ({"inner": {"size": -1}}, "inner.size: -1 is negative"),
        ({"inner": {"size": 1, "names": "xy"}},
         "inner.names: 'xy' is not a list, each item a string"),
        ({"inner": {"size": 1, "names": ["x", 2]}}, "inner.names[1]: 2 is not a string"),
        ({"many": [{"size": 1}, {"size": "2"}]}, "many[1].size: '2' is not a whole number"),
        ({"by_name": {"one": {"sise": 1, "size": 1}}},
         'by_name.one.sise: unknown key; did you mean "size"?'),
        ({"by_name": []}, "by_name: [] is not a table"),
        ({"zzz": 1}, "zzz: unknown key; allowed: kind, rate, inner, on, many, by_name, limit"),
    ],
)  # fmt: skip
def test_a_mistake_names_its_key_and_what_is_allowed(changes, mistake):
    assert mistakes(**changes) == (mistake,)


def test_none_is_allowed_where_it_means_something():
    assert parse(GOOD | {"limit": None}, Outer, where="x").limit is None
    assert mistakes(rate=None) == ("rate: None is not a number",)


def test_a_rule_of_the_outermost_table_is_named_by_its_file():
    with pytest.raises(ConfigError, match=r"^x\.toml: 1 mistake\n  - size: -2 is negative$"):
        parse({"size": -2}, Inner, where="x.toml")


def test_files(tmp_path):
    file = tmp_path / "x.toml"
    with pytest.raises(EdgeseqError, match=r"^cannot read .*x\.toml: .*No such file"):
        load_toml(file, Inner)
    file.write_text("size = ")
    with pytest.raises(ConfigError, match=r"x\.toml: 1 mistake\n  - not TOML: "):
        load_toml(file, Inner)
    file.write_bytes(b"size = 1 # \xff")
    with pytest.raises(EdgeseqError, match=r"^cannot read .*x\.toml: "):
        load_toml(file, Inner)
    file.write_text("size = 1")
    assert load_toml(file, Inner) == Inner(1)
