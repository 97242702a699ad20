"""Which ONNX Runtime releases run a bundle's files: replays the reference with each of them.

    python tests/benchmarks/oldest_onnxruntime.py BUNDLE [BUNDLE ...]

Installs every release into a folder of its own (needs a package index), then streams the bundle's
reference through each variant with it and prints the largest error over the outputs' RMS.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

RELEASES = (
    "1.16.0",
    "1.17.3",
    "1.20.2",
    "1.23.2",
    "1.24.4",
    "1.25.0",
    "1.30.0",
    "1.31.1",
    "1.32.0",
)
NUMPY_1 = ("1.16.0", "1.17.3")
"""Built against NumPy 1; newer NumPy breaks their import."""

REPLAY = """
import sys
import numpy as np
from edgeseq import StreamSession
from edgeseq.bundle import load_bundle
from edgeseq.errors import EdgeseqError
for path in sys.argv[1:]:
    bundle = load_bundle(path)
    frames, expected = bundle.reference["frames"], bundle.reference["outputs"]
    for name in bundle.manifest.variants:
        try:
            with StreamSession(path, variant=name) as stream:
                outputs = np.stack([stream.step(frame) for frame in frames])
            error = np.abs(outputs - expected).max() / np.sqrt(np.mean(expected**2))
            print(f"  {bundle.manifest.name} {name}: {error:.1e}")
        except EdgeseqError as problem:
            print(f"  {bundle.manifest.name} {name}: does not load ({str(problem)[-90:]})")
"""


def install(release: str, folder: Path) -> None:
    numpy = "numpy<2" if release in NUMPY_1 else "numpy"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder)]
    base = ["click", "flatbuffers", "packaging", "platformdirs", "protobuf", "rich", "coloredlogs"]
    subprocess.run([*pip, numpy, *base], check=True, stderr=subprocess.DEVNULL)
    subprocess.run([*pip, "--no-deps", f"onnxruntime=={release}"], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--releases", nargs="+", default=RELEASES)
    arguments = parser.parse_args()
    source = Path(__file__).parents[2]
    for release in arguments.releases:
        print(f"onnxruntime {release}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            install(release, Path(folder))
            # -S and PYTHONPATH: nothing of this environment's packages takes part.
            subprocess.run(
                [sys.executable, "-S", "-c", REPLAY, *map(str, arguments.bundles)],
                env={**os.environ, "PYTHONPATH": f"{folder}:{source}"},
                check=False,
            )


if __name__ == "__main__":
    main()
