"""RAPL counters from files that a test writes: sums, wraps, and none where there is none."""

import pytest

from edgeseq.bench.energy import EnergyMeter


def zone(root, name, microjoules):
    folder = root / name
    folder.mkdir(exist_ok=True)
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    (folder / "max_energy_range_uj").write_text("65536000000\n")


def test_packages_are_added_and_their_parts_are_not(tmp_path):
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        zone(tmp_path, name, 1_000_000)
    meter = EnergyMeter(tmp_path)
    assert meter() == 0
    zone(tmp_path, "intel-rapl:0", 3_000_000)
    zone(tmp_path, "intel-rapl:1", 1_500_000)
    zone(tmp_path, "intel-rapl:0:0", 9_000_000)
    assert meter() == pytest.approx(2.5)
    assert meter() == pytest.approx(2.5)


def test_a_counter_that_wraps(tmp_path):
    zone(tmp_path, "intel-rapl:0", 65_535_000_000)
    meter = EnergyMeter(tmp_path)
    zone(tmp_path, "intel-rapl:0", 1_000_000)
    assert meter() == pytest.approx(2.0)


def test_nothing_is_counted(tmp_path):
    assert EnergyMeter(tmp_path)() is None
    assert EnergyMeter(tmp_path / "absent")() is None
    (tmp_path / "intel-rapl:0").mkdir()  # as for whoever may not read it
    assert EnergyMeter(tmp_path)() is None


def test_a_counter_that_goes_away(tmp_path):
    zone(tmp_path, "intel-rapl:0", 1_000_000)
    meter = EnergyMeter(tmp_path)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert meter() is None
