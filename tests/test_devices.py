"""Device profiles: all load with sources, detection finds the right one, the page is in step."""

import json
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path

import pytest

from edgeseq import devices
from edgeseq.contract import SessionSettings
from edgeseq.devices import (
    Budget,
    DeviceProfile,
    Fact,
    Match,
    QuantizeHints,
    detect,
    is_device,
    list_devices,
    load_device,
)
from edgeseq.errors import ConfigError, EdgeseqError, UsageError
from edgeseq.report.reference import device_list, field_docs, fields_of, refresh
from edgeseq.shipped import shipped

FOLDER = Path(str(shipped("devices")))
NAMES = (
    "browser",
    "cuda",
    "raspberry-pi-4",
    "raspberry-pi-zero-2w",
    "x86-64-avx2",
    "x86-64-vnni",
)


@dataclass(frozen=True)
class Box:
    """A machine as `detect` sees it."""

    architecture: str = "x86_64"
    board: str = ""
    flags: tuple[str, ...] = ()
    providers: tuple[str, ...] = ("CPUExecutionProvider",)


def test_every_file_is_listed():
    assert list_devices() == NAMES
    assert sorted(path.stem for path in FOLDER.rglob("*.toml")) == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_profile_loads_with_facts_that_can_be_looked_up(name):
    profile = load_device(name)
    assert profile.name == name
    assert len(profile.facts) >= 2
    for fact in profile.facts:
        assert fact.source.startswith("https://"), fact
        assert fact.text.endswith("."), fact
    assert profile.session.threads == 1
    assert not profile.session.spinning
    assert profile.budget.step_p99_ms is not None
    assert "Chosen by us" in (FOLDER / f"{name}.toml").read_text(), "a budget needs its reason"


def test_only_cpus_without_vnni_reduce_the_range():
    reduced = {name for name in NAMES if load_device(name).quantize.reduce_range}
    assert reduced == {"x86-64-avx2"}


def test_slower_devices_promise_less():
    limits = [
        load_device(name).budget.step_p99_ms
        for name in ("x86-64-vnni", "x86-64-avx2", "raspberry-pi-4", "raspberry-pi-zero-2w")
    ]
    assert limits == sorted(limits)
    assert len(set(limits)) == 4


def test_measured_needs_a_result_file():
    results = [json.loads(path.read_text()) for path in (FOLDER / "results").glob("*.json")]
    proven = {
        result["device"]
        for result in results
        if result["is_device"] and result["status"] == "measured"
    }
    claimed = {name for name in NAMES if load_device(name).status == "measured"}
    assert claimed <= proven


def test_unknown_device_suggests_the_nearest():
    with pytest.raises(UsageError) as caught:
        load_device("pi-4")
    assert 'no device "pi-4"' in str(caught.value)
    assert 'Did you mean "raspberry-pi-4"?' in str(caught.value)
    assert "edgeseq devices" in str(caught.value)


def test_name_far_from_all_gets_no_guess():
    with pytest.raises(UsageError) as caught:
        load_device("zzzzzz")
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize("name", ["../pyproject", "results/README", "README.md", ""])
def test_only_names_of_profiles_are_opened(name):
    with pytest.raises(UsageError):
        load_device(name)


@pytest.mark.parametrize(
    ("box", "found"),
    [
        (Box(flags=("avx2", "avx512f", "avx512_vnni")), ("x86-64-vnni",)),
        (Box(flags=("avx2", "avx_vnni")), ("x86-64-vnni",)),
        (Box(flags=("avx2", "avx512f")), ("x86-64-avx2",)),
        (Box(flags=()), ()),
        (
            Box("aarch64", "Raspberry Pi 4 Model B Rev 1.4", ("asimd",)),
            ("raspberry-pi-4",),
        ),
        (
            Box("aarch64", "Raspberry Pi Zero 2 W Rev 1.0", ("asimd",)),
            ("raspberry-pi-zero-2w",),
        ),
        (Box("aarch64", "Raspberry Pi 400 Rev 1.0", ("asimd",)), ()),
        (Box("aarch64", "Raspberry Pi 5 Model B Rev 1.0", ("asimd", "asimddp")), ()),
        (
            Box(
                flags=("avx2", "avx_vnni"),
                providers=("CUDAExecutionProvider", "CPUExecutionProvider"),
            ),
            ("x86-64-vnni", "cuda"),
        ),
    ],
)
def test_detect(box, found):
    assert detect(box) == found


def test_a_profile_without_rules_is_never_detected():
    assert load_device("browser").match.rules == 0
    assert not is_device(load_device("browser"), Box())


def test_rules_counts_what_is_given():
    assert Match().rules == 0
    assert Match(architecture="aarch64", board="x").rules == 2
    assert Match("x86_64", "b", ("a",), ("c",), "P").rules == 5


def write(folder, name, text):
    folder.joinpath(f"{name}.toml").write_text(text)


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "shipped", lambda _folder: tmp_path)
    return tmp_path


GOOD = 'summary = "s"\nstatus = "estimated"\n[[facts]]\ntext = "t"\nsource = "https://x"\n'


def test_defaults(own_folder):
    write(own_folder, "mine", f'name = "mine"\n{GOOD}')
    assert load_device("mine") == DeviceProfile(
        "mine",
        "s",
        "estimated",
        (Fact("t", "https://x"),),
        "cpu",
        Match(),
        SessionSettings(),
        QuantizeHints(False),
        Budget(),
    )


def test_file_name_is_the_name(own_folder):
    write(own_folder, "mine", f'name = "other"\n{GOOD}')
    with pytest.raises(ConfigError, match="differs from the file's name"):
        load_device("mine")


def test_all_mistakes_at_once(own_folder):
    write(
        own_folder,
        "bad",
        'name = "bad"\nstatus = "promised"\nfacts = []\n'
        '[budget]\nstep_p99 = 1\nmodel_kib = "big"\n',
    )
    with pytest.raises(ConfigError) as caught:
        load_device("bad")
    text = str(caught.value)
    assert 'budget.step_p99: unknown key; did you mean "step_p99_ms"?' in text
    assert "budget.model_kib: 'big' is not a number" in text
    assert "status: 'promised' is not one of 'measured', 'emulated', 'estimated'" in text
    assert "summary: missing" in text


def test_a_fact_without_source_is_refused(own_folder):
    write(own_folder, "bad", f'name = "bad"\n{GOOD}'.replace("https://x", " "))
    with pytest.raises(ConfigError, match=r"facts\[0\].source: is empty"):
        load_device("bad")


def test_a_profile_without_facts_is_refused(own_folder):
    write(own_folder, "bad", 'name = "bad"\nsummary = "s"\nstatus = "estimated"\nfacts = []\n')
    with pytest.raises(ConfigError, match="needs at least one fact"):
        load_device("bad")


def test_page_has_its_tables():
    """That they are in step is for `test_docs.py`, which knows the measured ones as well."""
    page = (FOLDER / "README.md").read_text()
    blocks = "device list", "device fields", "everywhere table", "reduce range table"
    assert all(f"<!-- generated: {name} -->" in page for name in blocks)
    assert page.count("<!-- generated: ") == len(blocks)


def test_refresh_replaces_what_is_stale_and_only_that():
    page = "a\n<!-- generated: device list -->\nstale\n<!-- end of generated -->\nb\n"
    fresh = refresh(page)
    assert "stale" not in fresh
    assert device_list() in fresh
    assert fresh.startswith("a\n")
    assert fresh.endswith("<!-- end of generated -->\nb\n")
    with pytest.raises(EdgeseqError, match="no generated block"):
        refresh(page.replace("device list", "weather"))


def test_field_table_has_every_field():
    table = fields_of(DeviceProfile)()
    for field in fields(DeviceProfile):
        assert f"| `{field.name}` |" in table
    for field in fields(Budget):
        assert f"| `budget.{field.name}` |" in table
    assert "| `facts` | list of table | required |" in table
    assert "| `status` | `measured`, `emulated`, `estimated` | required |" in table
    assert "| `session.threads` | whole number | `1` |" in table
    assert "| `session.spinning` | true or false | `false` |" in table
    assert "| `budget.step_p99_ms` | number | none |" in table


@pytest.mark.parametrize("schema", [DeviceProfile, Fact, Match, QuantizeHints, Budget])
def test_every_field_says_what_it_means(schema):
    assert is_dataclass(schema)
    docs = field_docs(schema)
    assert set(docs) == {field.name for field in fields(schema)}
    assert all("\n" not in text and text.endswith(".") for text in docs.values())
