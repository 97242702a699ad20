"""What a fresh process holds on the GPU to load and run one model; the program `gpu` starts.

`python -m edgeseq.bench.gpu_probe REQUEST` takes a JSON request and writes one JSON line.
"""

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from edgeseq.bench.nvml import Nvml
from edgeseq.runtime import SessionSettings, StreamSession

EVERY_S = 0.002
"""Time between two looks for the peak; asking takes the driver about as long."""

Reading = dict[str, int | None]


def main(request: dict[str, Any], nvml: Nvml | None = None) -> dict[str, Any]:
    """Load the source of `request`, run its steps, and return device memory in bytes."""
    nvml = nvml or Nvml()
    meter = Meter(nvml, os.getpid())
    before = meter.read()
    with Peak(meter) as peak:
        session = StreamSession(
            Path(request["source"]),
            variant=request["variant"],
            provider=request["provider"],
            settings=SessionSettings(**request["session"]),
            streams=request["streams"],
        )
        loaded = meter.read()
        frame = np.asarray(request["frame"], np.float32)
        frames = frame if request["streams"] == 1 else np.stack([frame] * request["streams"])
        for _ in range(request["steps"]):
            session.step(frames)
        after = meter.read()
    nvml.close()
    return {"before": before, "loaded": loaded, "after": after, "peak": peak.reading}


class Meter:
    """Reads what this process holds on the GPU, and what all processes together do."""

    def __init__(self, nvml: Nvml, pid: int) -> None:
        self._nvml, self._pid = nvml, pid
        # Nobody is listed before CUDA begins. A namesake is a process of the host, whose numbers
        # a container may see in place of its own.
        self._hidden = pid in nvml.processes()

    def read(self) -> Reading:
        """Return bytes: `process`, none where it cannot be told from others, and `device`."""
        own = None if self._hidden else self._nvml.processes().get(self._pid)
        return {"process": own, "device": self._nvml.memory()[1]}


class Peak:
    """The largest readings while the block runs, by a thread that looks again and again."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.reading: Reading = {"process": None, "device": None}

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._keep()

    def _look(self) -> None:
        while not self._done.wait(EVERY_S):
            self._keep()

    def _keep(self) -> None:
        for name, value in self._meter.read().items():
            known = self.reading[name]
            if value is not None and (known is None or value > known):
                self.reading[name] = value


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(json.loads(sys.argv[1]))) + "\n")
