"""Attention, LSTM and GRU once more, as slow and as plain as their definitions."""

import numpy as np


def turned(x, window):
    """Rotate `(T, K)`: the pair (j, j + K/2) as one complex number, whole turns per 2 W frames."""
    frames, size = x.shape
    radians_a_frame = 2 * np.pi / (2 * window)
    fastest = max(1.0, 1 / radians_a_frame)  # turns per period of about one radian a frame
    turns = np.array([round(z) for z in np.geomspace(1, fastest, size // 2)])
    z = x[:, : size // 2] + 1j * x[:, size // 2 :]
    z = z * np.exp(1j * radians_a_frame * np.outer(np.arange(frames), turns))
    return np.concatenate([z.real, z.imag], axis=1)


def attention(x, qkv, out, heads, window, causal=True):
    """Attention of `(T, D)` over the last W frames, or all: a loop over heads and queries."""
    frames, width = x.shape
    size = width // heads
    q, k, v = (x @ qkv[i * width : (i + 1) * width].T for i in range(3))
    y = np.zeros_like(x)
    for head in range(heads):
        columns = slice(head * size, (head + 1) * size)
        queries, keys = turned(q[:, columns], window), turned(k[:, columns], window)
        for t in range(frames):
            seen = [s for s in range(frames) if t - window < s <= t or not causal]
            scores = np.array([queries[t] @ keys[s] for s in seen]) / np.sqrt(size)
            weights = np.exp(scores - scores.max())
            y[t, columns] = weights / weights.sum() @ v[seen][:, columns]
    return y @ out.T


def layer_norm(x, weight, bias):
    """Normalise each row of `(T, D)`."""
    centred = x - x.mean(axis=1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5) * weight + bias


def block(x, of, heads, window, causal=True):
    """Attention and a feed-forward network on `(T, D)`; `of` gives weights by name."""
    y = layer_norm(x, of("norm1.weight"), of("norm1.bias"))
    y = attention(y, of("attention.qkv.weight"), of("attention.out.weight"), heads, window, causal)
    x = x + y
    y = layer_norm(x, of("norm2.weight"), of("norm2.bias"))
    return x + np.maximum(y @ of("up.weight").T, 0) @ of("down.weight").T


def cross(x, source, of, heads, first):
    """Attention of the frames of `(T, D)` from `first` on to all of a source `(S, D)`."""
    frames, width = x.shape
    size = width // heads
    q = layer_norm(x, of("norm.weight"), of("norm.bias")) @ of("q.weight").T
    k, v = source @ of("kv.weight")[:width].T, source @ of("kv.weight")[width:].T
    y = np.zeros_like(x)
    for t in range(first, frames):
        for head in range(heads):
            columns = slice(head * size, (head + 1) * size)
            weights = np.exp(k[:, columns] @ q[t, columns] / np.sqrt(size))
            y[t, columns] = weights / weights.sum() @ v[:, columns]
    return x + y @ of("out.weight").T


def encoder_decoder(frames, weights, spec):
    """Run `(T, F)`: the first S frames are encoded, and every frame from S - 1 on asks them."""

    def of(prefix):
        return lambda name: weights[f"{prefix}.{name}"]

    x = frames @ weights["embed.weight"].T + weights["embed.bias"]
    source = x[: spec.source] + weights["places"] if len(x) >= spec.source else None
    if source is not None:
        for i in range(spec.encoder_layers):
            source = block(source, of(f"encoder.{i}"), spec.heads, spec.source, causal=False)
        source = layer_norm(source, weights["source_norm.weight"], weights["source_norm.bias"])
    for i in range(spec.layers):
        if source is not None:
            x = cross(x, source, of(f"crosses.{i}"), spec.heads, spec.source - 1)
        x = block(x, of(f"blocks.{i}"), spec.heads, spec.window)
    return layer_norm(x, weights["norm.weight"], weights["norm.bias"]) @ weights["head.weight"].T


def lstm(x, layers):
    """Run `(T, F)` through `layers` of `(W_ih, W_hh, b_ih, b_hh)`; gates come i, f, g, o."""

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    states = []
    for w_ih, w_hh, b_ih, b_hh in layers:
        hidden = w_hh.shape[1]
        h, c, outputs = np.zeros(hidden), np.zeros(hidden), []
        for frame in x:
            gates = w_ih @ frame + b_ih + w_hh @ h + b_hh
            i, f, g, o = (gates[n * hidden : (n + 1) * hidden] for n in range(4))
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            outputs.append(h)
        x = np.array(outputs)
        states.append((h, c))
    return x, states


def gru(x, layers):
    """Run `(T, F)` through `layers` of `(W_ih, W_hh, b_ih, b_hh)`; gates come r, z, n.

    Cho et al. 2014, in the form of cuDNN: the reset gate multiplies what the recurrent weights and
    their bias make of the state, not the state.
    """

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    states = []
    for w_ih, w_hh, b_ih, b_hh in layers:
        hidden = w_hh.shape[1]
        h, outputs = np.zeros(hidden), []
        for frame in x:
            new = [w_ih[n * hidden : (n + 1) * hidden] @ frame for n in range(3)]
            old = [w_hh[n * hidden : (n + 1) * hidden] @ h for n in range(3)]
            b_new, b_old = np.split(b_ih, 3), np.split(b_hh, 3)
            r = sigmoid(new[0] + b_new[0] + old[0] + b_old[0])
            z = sigmoid(new[1] + b_new[1] + old[1] + b_old[1])
            n = np.tanh(new[2] + b_new[2] + r * (old[2] + b_old[2]))
            h = (1 - z) * n + z * h
            outputs.append(h)
        x = np.array(outputs)
        states.append(h)
    return x, states
