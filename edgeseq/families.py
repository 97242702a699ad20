"""The registry of model families: a family is one file in `edgeseq/models/` and one line here."""

FAMILIES: dict[str, str] = {
    "lstm": "recurrent; state is one hidden and one cell vector a layer",
    "gru": "recurrent; state is one hidden vector a layer",
    "transformer": "causal windowed attention; state is a ring of keys and values",
    "decoder": "a Transformer that continues tokens; their table is its head, too",
    "encoder-decoder": "reads its first frames both ways, once; each later one asks what they said",
}
"""Every family by name, with one line for people; its file is the name with `_` for `-`."""
