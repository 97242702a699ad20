"""An explanation on the terminal, in JSON, and as a page."""

import json
from dataclasses import replace

import numpy as np
import pytest
from report.reading import SVG, Page, drawings

from edgeseq.contract import Frame, Output
from edgeseq.explain import Attended, Explanation, Gates, Measure, Occlusion, Stretches
from edgeseq.explain.explanation import RECENCY
from edgeseq.explain.target import Target
from edgeseq.report.explain import as_json, headline, named, peaks, sheets
from edgeseq.report.html.explain import render
from edgeseq.report.html.heat import HIGH

FRAMES = 40


def explanation(frames=FRAMES, heads=2, units=6):
    rng = np.random.default_rng(0)
    at = np.arange(frames)
    change = np.where((at >= 30) & (at < 34), 0.5, 0.01) - 0.02
    gate = rng.uniform(0, 1, (frames, units))
    weights = np.tril(rng.uniform(0, 1, (heads, frames, frames)))
    return Explanation(
        source="run",
        family="hybrid",
        input="walk.csv",
        frame=Frame(("ax", "ay", "wz"), ("g", "g", "rad/s"), 50.0, samples=2),
        frames=rng.normal(size=(frames, 6)).astype(np.float32),
        target=Target(Output("logits", ("walk", "<b>run</b>")), 1),
        score=np.log(0.75),
        width=2,
        occlusion=Occlusion(
            Stretches(frames, 2), change, np.stack([change, 0 * change, -3 * change])
        ),
        gates=(
            Gates(0, "lstm", {"input": gate, "forget": gate, "output": 0 * gate + 1}, gate, gate),
        ),
        attention=(Attended(0, weights / weights.sum(-1, keepdims=True)),),
        measures=(Measure("occlusion", np.abs(change)), Measure("gates", at.astype(float))),
        missing={"attention": "no & attention"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def page():
    return render(explanation())


def test_the_headline_says_what_and_when():
    whole = explanation()
    assert headline(whole) == "“<b>run</b>” with 75.0 % at frame 39, after 1.60 s"
    value = replace(whole, target=Target(Output("value", ("x",), units="mm"), 0), score=12.345)
    assert headline(value) == "x = 12.35 mm at frame 39, after 1.60 s"


def test_peaks_are_what_stands_out():
    importance = np.array([0, 0, 4, 5, 3, 0, 0, 2, 2.6, 0, 1.0])
    assert peaks(importance) == [(2, 4), (7, 8)]
    assert named([(2, 4), (8, 8)]) == "2-4, 8"
    assert peaks(np.zeros(4)) == []
    assert named([]) == "none"


def test_the_tables_say_who_agrees_and_which_channel_matters():
    _, methods, channels, notes = sheets(explanation())
    rows = {row[0]: row for row in methods.rows}
    found = explanation().agreements()
    assert list(rows) == ["occlusion", "gates", RECENCY]
    assert rows["occlusion"][3] == "30-33"
    assert float(rows["gates"][1]) == pytest.approx(found["gates"].rank, abs=0.01)
    assert found["gates"].rank == found[RECENCY].rank
    assert found["gates"].beyond == 0, "it is recency itself"
    assert [(row[0], row[1]) for row in channels.rows] == [
        ("wz", "75.0 %"), ("ax", "25.0 %"), ("ay", "0 %"),
    ]  # fmt: skip
    assert notes.notes[1:] == ("no & attention",)


def test_frames_that_cannot_matter_are_no_agreement():
    whole = explanation()
    change = np.where(np.arange(FRAMES) >= 30, 40.0 - np.arange(FRAMES), 0)  # earlier matters more
    occlusion = replace(whole.occlusion, change=change, stretches=Stretches(FRAMES, 1))
    late = replace(whole, occlusion=replace(occlusion, first=30))
    assert replace(whole, occlusion=occlusion).agreements()[RECENCY].rank > 0.5
    assert late.agreements()[RECENCY].rank == pytest.approx(-1)


def test_json_has_every_number():
    found = json.loads(json.dumps(as_json(explanation())))
    assert found["label"] == "<b>run</b>"
    assert found["importance"]["occlusion"][30] == pytest.approx(0.48)
    assert found["channels"]["wz"][30] == pytest.approx(-1.44)
    assert np.array(found["gates"][0]["forget"]).shape == (FRAMES, 6)
    assert np.array(found["attention"][0]["weights"]).sum(-1) == pytest.approx(1, abs=1e-4)
    assert set(found["agreement"]) == {"gates", RECENCY}


def test_the_page_is_whole_and_escaped(page):
    assert "<b>run</b>" not in page
    assert "no &amp; attention" in page
    parsed = Page(page)
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in parsed.tags}
    titles = [drawing.findtext(f"{SVG}title") for drawing in drawings(page)]
    assert titles == [
        "Input and importance", "Occlusion by channel", "Layer 0, input gate",
        "Layer 0, forget gate", "Layer 0, output gate", "Layer 0, head 0", "Layer 0, head 1",
    ]  # fmt: skip
    assert "nan" not in page.lower()


def test_bars_are_where_the_frames_are(page):
    """Of occlusion: frames 30 to 33 speak for it, all others hang below the line."""
    first = next(p for p in drawings(page)[0].iter(f"{SVG}path") if p.get("class") == "bars")
    bars = [
        tuple(map(float, bar.replace("V", " ").replace("H", " ").split()[:4]))
        for bar in first.get("d").replace("z", "").split("M")[1:]
    ]  # left, zero, value, right
    assert len(bars) == FRAMES
    up = [bar for bar in bars if bar[2] < bar[1]]
    left, per_frame = 46, (440 - 12 - 46) / FRAMES
    assert len(up) == 4
    assert up[0][0] == pytest.approx(left + 30 * per_frame, abs=0.1)
    assert up[-1][3] == pytest.approx(left + 34 * per_frame, abs=0.1)
    assert all(bar[2] > bar[1] for bar in bars if bar not in up)


def test_each_gate_has_its_own_map(page):
    """The output gate of this one is open all the time."""
    maps = drawings(page)[2:5]
    opacities = [
        {path.get("stroke-opacity") for path in drawing.iter(f"{SVG}path")} for drawing in maps
    ]
    assert len(opacities[0]) > 5
    assert opacities[2] == {str(HIGH)}


def test_a_large_page_stays_small():
    large = render(explanation(frames=600, heads=4, units=100))
    assert len(large.encode()) < 300_000


def test_a_text_is_shaded_by_letter():
    whole = explanation()
    tokens = (np.arange(FRAMES) % 3).astype(np.float32)[:, None]
    text = replace(
        whole,
        frame=Frame(("character",), ("token",), 25.0, vocabulary=("a", "<", " ")),
        frames=tokens,
        occlusion=replace(whole.occlusion, channels=whole.occlusion.change[None]),
    )
    page = render(text)
    assert page.count('style="--share:') == FRAMES
    assert 'class="much" style="--share:100%">&lt;</span>' in page
    assert "By channel" not in page


def test_many_channels_are_a_map_and_constant_input_is_drawn():
    whole = explanation()
    names = tuple(f"p{n}" for n in range(6))
    many = replace(
        whole,
        frame=Frame(names, ("",) * 6, 50.0),
        frames=np.zeros_like(whole.frames),
        occlusion=replace(whole.occlusion, channels=np.zeros((6, FRAMES)), change=np.zeros(FRAMES)),
        measures=(Measure("occlusion", np.zeros(FRAMES)),),
    )
    page = render(many)
    assert "<h4>Input</h4>" in page
    assert len(drawings(page)) == 3 + 5
