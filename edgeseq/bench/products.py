"""The most that one core multiplies a second: square matrix products, by whoever does them best."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseq.bench.stats import Spread, spread
from edgeseq.contract import SessionSettings
from edgeseq.extras import require
from edgeseq.runtime.model import open_session

Clock = Callable[[], int]
OPSET = 17


@dataclass(frozen=True)
class Product:
    """One way to multiply two square matrices."""

    by: str
    """Who multiplies: `NumPy`, `ONNX Runtime`."""
    dtype: str
    """`float32` or `int8`."""
    size: int
    """Rows, and columns."""
    run: Callable[[], object]

    @property
    def operations(self) -> int:
        """Multiplications and additions of one product."""
        return 2 * self.size**3


@dataclass(frozen=True)
class Peak:
    """What one product reached."""

    by: str
    dtype: str
    size: int
    gflops: Spread
    """10⁹ operations a second; of integers too."""


def products(sizes: Sequence[int], *, integers: bool = True) -> list[Product]:
    """Return the products of those sizes: NumPy's, ONNX Runtime's, and its of integers.

    How many threads NumPy's take only the environment of a fresh process decides.
    """
    found = []
    for size in sizes:
        found += [in_numpy(size), in_onnxruntime(size)]
        if integers:
            found.append(in_onnxruntime(size, "int8"))
    return found


def in_numpy(size: int) -> Product:
    """Return NumPy's product, into memory that is there already."""
    left, right = (_drawn(size, "float32", seed) for seed in (0, 1))
    out = np.empty_like(left)
    return Product("NumPy", "float32", size, lambda: np.matmul(left, right, out=out))


def in_onnxruntime(size: int, dtype: str = "float32", *, provider: str = "cpu") -> Product:
    """Return ONNX Runtime's product by constant weights on one thread, bound as an app binds it.

    Args:
        size: rows, and columns.
        dtype: `float32`, or `int8`: unsigned bytes by signed ones, as dynamic int8 has them.
        provider: what runs it; on `cuda` both sides stay on the device.
    """
    session = _session(size, dtype, provider)
    left = _drawn(size, "uint8" if dtype == "int8" else dtype, 0)
    out = "int32" if dtype == "int8" else dtype
    device = "cuda" if provider == "cuda" else "cpu"
    values = require("onnxruntime").OrtValue
    x = values.ortvalue_from_numpy(left, device, 0)
    y = values.ortvalue_from_numpy(np.zeros((size, size), out), device, 0)
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", x)
    binding.bind_ortvalue_output("y", y)

    def run() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return Product("ONNX Runtime", dtype, size, run)


def measure_peaks(
    products: Sequence[Product], rounds: int, clock: Clock = time.perf_counter_ns
) -> tuple[Peak, ...]:
    """Time every product once a round, in turns; the round before the first warms up."""
    rates: list[list[float]] = [[] for _ in products]
    for _ in range(rounds + 1):
        for own, product in zip(rates, products, strict=True):
            begin = clock()
            product.run()
            own.append(product.operations / (clock() - begin))
    return tuple(
        Peak(product.by, product.dtype, product.size, spread(own[1:]))
        for own, product in zip(rates, products, strict=True)
    )


def _session(size: int, dtype: str, provider: str) -> Any:  # noqa: ANN401 - onnxruntime is untyped
    onnx = require("onnx")
    helper, types = onnx.helper, onnx.TensorProto
    kind, given, weight, result = {
        "float32": ("MatMul", types.FLOAT, "float32", types.FLOAT),
        "int8": ("MatMulInteger", types.UINT8, "int8", types.INT32),
    }[dtype]
    graph = helper.make_graph(
        [helper.make_node(kind, ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", given, (size, size))],
        [helper.make_tensor_value_info("y", result, (size, size))],
        [onnx.numpy_helper.from_array(_drawn(size, weight, 1), "w")],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(
        graph, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets)
    )
    with TemporaryDirectory(prefix="edgeseq-") as folder:
        file = Path(folder, "product.onnx")
        file.write_bytes(model.SerializeToString())
        return open_session(file, provider, SessionSettings())


def _drawn(size: int, dtype: str, seed: int) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    if dtype == "float32":
        return rng.standard_normal((size, size), np.float32)
    return rng.integers(-64, 64, (size, size)).astype(dtype)
