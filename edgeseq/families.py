"""The registry of model families: a family is one file in `edgeseq/models/` and one line here."""

from typing import Literal, get_args

FAMILIES: dict[str, str] = {
    "lstm": "recurrent; state is one hidden and one cell vector a layer",
    "gru": "recurrent; state is one hidden vector a layer",
    "hybrid": "an LSTM inside each Transformer block; state is that of both",
    "transformer": "causal windowed attention; state is a ring of keys and values",
    "encoder": "attention both ways in a whole window; state is the frames before",
    "vit": "patches of a whole window; state is the frames before",
    "cnn": "convolutions over a whole window; state is the frames before",
    "decoder": "a Transformer that continues tokens; their table is its head, too",
    "encoder-decoder": "reads its first frames both ways, once; each later one asks what they said",
}
"""Every family by name, with one line for people; its file is the name with `_` for `-`."""

PositionKind = Literal["none", "sinusoidal", "learned", "rotary", "relative"]
"""How attention knows the order of frames. `none`: only by what the window leaves out; `sinusoidal`
(Vaswani et al. 2017, arXiv:1706.03762) and `learned`: a vector added to each frame; `rotary` (Su et
al. 2021, arXiv:2104.09864): queries and keys turned; `relative`: a learned number a head and
distance (Shaw et al. 2018, arXiv:1803.02155, as simple as Raffel et al. 2020, arXiv:1910.10683)."""
POSITIONS: tuple[PositionKind, ...] = get_args(PositionKind)
