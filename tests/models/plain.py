"""Transformer, LSTM and GRU once more, as slow and as plain as their definitions."""

import numpy as np


def phases(frames, count, window, start=0):
    """`count` angles `(T, count)` of the frames from `start` on: whole turns per 2 W frames."""
    radians_a_frame = 2 * np.pi / (2 * window)
    fastest = max(1.0, 1 / radians_a_frame)  # turns per period of about one radian a frame
    turns = np.array([round(z) for z in np.geomspace(1, fastest, count)])
    return radians_a_frame * np.outer(start + np.arange(frames), turns)


def turned(x, window, start=0):
    """Rotate `(T, K)`: the pair (j, j + K/2) as one complex number."""
    frames, size = x.shape
    z = x[:, : size // 2] + 1j * x[:, size // 2 :]
    z = z * np.exp(1j * phases(frames, size // 2, window, start))
    return np.concatenate([z.real, z.imag], axis=1)


def attention(x, qkv, out, heads, window, positions="rotary", distances=None, start=0, causal=True):
    """Attention of `(T, D)` over the last W frames, or all: a loop over heads and queries.

    Returns outputs `(T, D)`, and keys and values `(H, T, K)` each.
    """
    frames, width = x.shape
    size = width // heads
    q, k, v = (x @ qkv[i * width : (i + 1) * width].T for i in range(3))
    y, cache = np.zeros_like(x), []
    for head in range(heads):
        columns = slice(head * size, (head + 1) * size)
        queries, keys = q[:, columns], k[:, columns]
        if positions == "rotary":
            queries, keys = turned(queries, window, start), turned(keys, window, start)
        cache.append((keys, v[:, columns]))
        for t in range(frames):
            seen = [s for s in range(frames) if t - window < s <= t or not causal]
            scores = np.array([queries[t] @ keys[s] for s in seen]) / np.sqrt(size)
            if positions == "relative":
                scores += [distances[head, t - s] for s in seen]
            weights = np.exp(scores - scores.max())
            y[t, columns] = weights / weights.sum() @ v[seen][:, columns]
    return y @ out.T, *(np.array(part) for part in zip(*cache, strict=True))


def norm(x, weight, bias):
    """Give every row of `(T, D)` mean 0 and variance 1, then a scale and an offset."""
    scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return scaled * weight + bias


def transformer(x, weights, spec, start=0):
    """Run `(T, F)` through a Transformer's `weights` by name; frame 0 is the stream's `start`th.

    Returns outputs `(T, C)`, and keys and values `(H, T, K)` of each block.
    """

    def normed(x, name):
        return norm(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    x = x @ weights["embed.weight"].T + weights["embed.bias"]
    frames, width = x.shape
    if spec.positions == "sinusoidal":
        angles = phases(frames, (width + 1) // 2, spec.window, start)
        x = x + np.concatenate([np.sin(angles), np.cos(angles)], axis=1)[:, :width]
    if spec.positions == "learned":
        x = x + weights["positions.table"][(start + np.arange(frames)) % (2 * spec.window)]
    caches = []
    for block in (f"blocks.{layer}" for layer in range(spec.layers)):
        qkv, out = (weights[f"{block}.attention.{name}.weight"] for name in ("qkv", "out"))
        distances = weights.get(f"{block}.attention.distances")
        y, *cache = attention(
            normed(x, f"{block}.norm1"), qkv, out, spec.heads, spec.window,
            spec.positions, distances, start,
        )  # fmt: skip
        caches.append(cache)
        x = x + y
        up, down = (weights[f"{block}.{name}.weight"] for name in ("up", "down"))
        x = x + np.maximum(normed(x, f"{block}.norm2") @ up.T, 0) @ down.T
    return normed(x, "norm") @ weights["head.weight"].T, caches


def block(x, of, heads, window, causal=True):
    """Attention and a feed-forward network on `(T, D)`; `of` gives weights by name."""
    y = norm(x, of("norm1.weight"), of("norm1.bias"))
    qkv, out = of("attention.qkv.weight"), of("attention.out.weight")
    y, _, _ = attention(y, qkv, out, heads, window, causal=causal)
    x = x + y
    y = norm(x, of("norm2.weight"), of("norm2.bias"))
    return x + np.maximum(y @ of("up.weight").T, 0) @ of("down.weight").T


def cross(x, source, of, heads, first):
    """Attention of the frames of `(T, D)` from `first` on to all of a source `(S, D)`."""
    frames, width = x.shape
    size = width // heads
    q = norm(x, of("norm.weight"), of("norm.bias")) @ of("q.weight").T
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
        source = norm(source, weights["source_norm.weight"], weights["source_norm.bias"])
    for i in range(spec.layers):
        if source is not None:
            x = cross(x, source, of(f"crosses.{i}"), spec.heads, spec.source - 1)
        x = block(x, of(f"blocks.{i}"), spec.heads, spec.window)
    return norm(x, weights["norm.weight"], weights["norm.bias"]) @ weights["head.weight"].T


def lstm(x, layers):
    """Run `(T, F)` through `layers` of `(W_ih, W_hh, b_ih, b_hh)`; gates come i, f, g, o.

    With a fifth matrix, `W_hr`, it makes the hidden state of what the gates give.
    """

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    states = []
    for w_ih, w_hh, b_ih, b_hh, *w_hr in layers:
        hidden = len(w_hh) // 4
        h, c, outputs = np.zeros(w_hh.shape[1]), np.zeros(hidden), []
        for frame in x:
            gates = w_ih @ frame + b_ih + w_hh @ h + b_hh
            i, f, g, o = (gates[n * hidden : (n + 1) * hidden] for n in range(4))
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            for projection in w_hr:
                h = projection @ h
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


def normed(x, weight, bias):
    """Layer norm of the last axis."""
    away = x - x.mean(-1, keepdims=True)
    return away / np.sqrt((away**2).mean(-1, keepdims=True) + 1e-5) * weight + bias


def blocks(x, weights, layers, heads):
    """Pre-norm blocks whose tokens `(S, D)` all see each other: a loop over heads and queries."""
    size = x.shape[1] // heads
    for layer in range(layers):
        w = {
            name.removeprefix(f"blocks.{layer}."): value
            for name, value in weights.items()
            if name.startswith(f"blocks.{layer}.")
        }
        normal = normed(x, w["norm1.weight"], w["norm1.bias"])
        q, k, v = np.split(normal @ w["attention.qkv.weight"].T, 3, axis=1)
        y = np.zeros_like(x)
        for head in range(heads):
            columns = slice(head * size, (head + 1) * size)
            for token in range(len(x)):
                scores = np.array([q[token, columns] @ key for key in k[:, columns]])
                share = np.exp((scores - scores.max()) / np.sqrt(size))
                y[token, columns] = share / share.sum() @ v[:, columns]
        x = x + y @ w["attention.out.weight"].T
        inner = normed(x, w["norm2.weight"], w["norm2.bias"]) @ w["up.weight"].T
        x = x + np.maximum(inner, 0) @ w["down.weight"].T
    return x


def patches(picture, frames, values):
    """Cut `(W, I)` into patches, row by row; what lacks above and on the right is zero."""
    high, wide = (-(-n // side) for n, side in zip(picture.shape, (frames, values), strict=True))
    filled = np.zeros((high * frames, wide * values))
    filled[len(filled) - len(picture) :, : picture.shape[1]] = picture
    return np.array(
        [
            filled[row * frames :][:frames, column * values :][:, :values].ravel()
            for row in range(high)
            for column in range(wide)
        ]
    )


def convolved(x, weight, kernel, stride=2):
    """Slide `weight` `(H, K V)` over `(L, V)` from the newest frame back."""
    kernel = min(kernel, len(x))
    outputs = []
    end = len(x)
    while end >= kernel:
        outputs.append(weight @ x[end - kernel : end].ravel())
        end -= stride
    return np.array(outputs[::-1])
