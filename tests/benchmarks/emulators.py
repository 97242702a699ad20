"""CPUs that qemu can be, and what is needed to run Python and ONNX Runtime on them.

What is not installed is fetched into a cache: Debian's qemu-user-static and debootstrap as packages
that are unpacked, not installed; for Arm a Debian with Python, and the wheels of this environment's
releases. An emulator shows what a CPU answers; of time and memory it says nothing.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SUITE = "bookworm"
WHEELS = ("onnxruntime", "numpy", "click", "platformdirs", "rich")
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")
CPUINFO = """\
processor\t: 0
BogoMIPS\t: 100.00
Features\t: fp asimd
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3
"""
"""Of a Cortex-A72: ONNX Runtime reads it at import, and qemu-user would show the host's."""
INSTALL = "apt-get install qemu-user-static debootstrap"


@dataclass(frozen=True)
class Cpu:
    """A CPU to emulate, named after what decides its kernels."""

    name: str
    architecture: str
    model: str
    """As qemu calls it."""
    needs: str = ""
    """What must not be among the features that qemu says it lacks."""


CPUS = (
    Cpu("x86-64, SSE4 only", "x86_64", "Nehalem"),
    Cpu("x86-64, AVX2 without VNNI", "x86_64", "Haswell", "avx2"),
    Cpu("x86-64, AVX-512 with VNNI", "x86_64", "Icelake-Server", "avx512"),
    Cpu("Arm, no dot product", "aarch64", "cortex-a72"),
    Cpu("Arm, dot product", "aarch64", "cortex-a76"),
    Cpu("Arm, 8-bit matrix product", "aarch64", "neoverse-v1"),
)


class NotHereError(Exception):
    """Something is missing that cannot be fetched; one line, with what to install."""


@dataclass(frozen=True)
class Emulators:
    """Makes commands that run Python on another CPU, from what lies in a cache folder."""

    cache: Path

    def command(self, cpu: Cpu) -> tuple[list[str], dict[str, str]]:
        """Return the start of a command line and the environment for `cpu`."""
        qemu = [str(self.qemu(cpu.architecture)), "-cpu", cpu.model]
        if cpu.architecture == "x86_64":
            packages = os.pathsep.join(path for path in sys.path if path.endswith("-packages"))
            python = [str(Path(sys.executable).resolve())]
        else:
            root = self._arm_root()
            packages = str(self._arm_packages(root))
            python = ["-L", str(root), str(_python(root))]
        paths = {"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{packages}", "OPENBLAS_NUM_THREADS": "1"}
        return [*qemu, *python, "-S"], {**os.environ, **paths}

    def lacks(self, cpu: Cpu) -> str:
        """Say why qemu cannot be this CPU; empty where it can."""
        qemu = self.qemu(cpu.architecture)
        if not re.search(rf"\b{cpu.model}\b", _output([qemu, "-cpu", "help"])):
            return f"this qemu has no {cpu.model}"
        if not cpu.needs:
            return ""
        python, environment = self.command(cpu)
        done = subprocess.run(
            [*python, "-c", ""], env=environment, capture_output=True, text=True, check=False
        )
        missing = re.findall(r"requested feature: \S+\.(\S+)", done.stderr)
        found = sorted({name for name in missing if cpu.needs in name})
        return f"qemu does not emulate {', '.join(found)}" if found else ""

    def release(self) -> str:
        """Return qemu's version."""
        return _output([self.qemu("x86_64"), "--version"]).splitlines()[0]

    def qemu(self, architecture: str) -> Path:
        """Return the emulator, fetched if it is not installed."""
        return self._tool(f"qemu-{architecture}-static", "usr/bin", "qemu-user-static")

    def _tool(self, name: str, folder: str, package: str) -> Path:
        installed = shutil.which(name)
        if installed:
            return Path(installed)
        unpacked = self.cache / "tools" / folder / name
        if not unpacked.exists():
            self._unpack(package)
        return unpacked

    def _unpack(self, package: str) -> None:
        folder = self.cache / "packages"
        folder.mkdir(parents=True, exist_ok=True)
        try:
            _run(["apt-get", "download", package], cwd=folder)
            for file in folder.glob(f"{package}_*.deb"):
                _run(["dpkg-deb", "-x", file, self.cache / "tools"])
        except (OSError, subprocess.CalledProcessError):
            raise NotHereError(
                f"{package} is not here and apt-get has no package of it. Install it: {INSTALL}"
            ) from None

    def _arm_root(self) -> Path:
        """Return a Debian for Arm that has Python; its packages are unpacked, none is set up."""
        root = self.cache / "arm64"
        if (root / "complete").exists():
            return root
        shutil.rmtree(root, ignore_errors=True)
        tool = self._tool("debootstrap", "usr/sbin", "debootstrap")
        scripts = tool.parents[1] / "share" / "debootstrap"
        arguments = ["--arch=arm64", "--foreign", "--variant=minbase"]
        include = "--include=python3,libstdc++6,libgomp1"
        environment = {**os.environ, "DEBOOTSTRAP_DIR": str(scripts)}
        try:
            _run([tool, *arguments, include, SUITE, root], env=environment)
        except (OSError, subprocess.CalledProcessError):
            raise NotHereError(
                "debootstrap made no Debian for Arm: it needs root and a Debian mirror. "
                "Leave Arm out: --architecture x86_64"
            ) from None
        for file in (root / "var/cache/apt/archives").glob("*.deb"):
            _run(["dpkg-deb", "-x", file, root])
        (root / "proc").mkdir(exist_ok=True)
        (root / "proc/cpuinfo").write_text(CPUINFO)
        (root / "complete").touch()
        return root

    def _arm_packages(self, root: Path) -> Path:
        """Return a folder of the wheels for Arm of the releases that are here."""
        pins = [f"{name}=={version(name)}" for name in WHEELS]
        site = self.cache / "-".join(pins[:2])
        if (site / "complete").exists():
            return site
        python = _python(root).name.removeprefix("python")
        wheels = self.cache / "wheels"
        options = ["--only-binary=:all:", "--implementation", "cp", "--python-version", python]
        options += [word for name in PLATFORMS for word in ("--platform", name)]
        tag = python.replace(".", "")
        options += [word for abi in (f"cp{tag}", "abi3", "none") for word in ("--abi", abi)]
        try:
            _run([sys.executable, "-m", "pip", "download", "-q", *options, "-d", wheels, *pins])
        except subprocess.CalledProcessError:
            raise NotHereError(
                f"pip found no wheels for Arm and Python {python} of {', '.join(pins[:2])}. "
                "Leave Arm out: --architecture x86_64"
            ) from None
        for wheel in wheels.glob("*.whl"):
            zipfile.ZipFile(wheel).extractall(site)
        (site / "complete").touch()
        return site


def _python(root: Path) -> Path:
    return next(path for path in (root / "usr/bin").glob("python3.*") if path.name[8:].isdigit())


def _output(command: list[str | Path]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _run(command: list[str | Path], **options: object) -> None:
    subprocess.run(command, check=True, capture_output=True, **options)
