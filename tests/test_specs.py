"""A TOML becomes a frozen dataclass, or every mistake in it is named at once."""

import tomllib
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseq.errors import ConfigError, EdgeseqError
from edgeseq.specs import load_toml, parse, to_toml


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


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
INNERS = st.builds(Inner, size=st.integers(0, 9), names=st.lists(WORDS, max_size=3).map(tuple))
OUTERS = st.builds(
    Outer,
    kind=st.sampled_from(["a", "b"]),
    rate=st.floats(allow_nan=False),
    inner=INNERS,
    on=st.booleans(),
    many=st.lists(INNERS, max_size=2).map(tuple),
    by_name=st.dictionaries(WORDS, INNERS, max_size=3),
    limit=st.none() | st.integers(-(10**9), 10**9),
)


@given(OUTERS)
def test_what_is_written_is_read_back(value):
    assert parse(tomllib.loads(to_toml(value)), Outer, where="x") == value


def test_a_written_file_is_one_that_people_would_write():
    value = Outer("a", 1e-5, Inner(1, ("W0", 'quo"ted')), by_name={"blocks.0.*": Inner(2)})
    assert to_toml(value) == WRITTEN


WRITTEN = """\
kind = "a"
rate = 1e-05

[inner]
size = 1
names = ["W0", "quo\\"ted"]

[by_name]

[by_name."blocks.0.*"]
size = 2
"""
