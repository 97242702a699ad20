"""Who makes a file: edgeseq's version, with the git commit where it runs from a checkout."""

import subprocess
from functools import cache
from pathlib import Path

import edgeseq


@cache
def producer() -> str:
    """Return `edgeseq VERSION`, followed by the commit of edgeseq's own checkout, if any."""
    root = Path(edgeseq.__file__).parents[1]
    name = f"edgeseq {edgeseq.__version__}"
    if not (root / ".git").exists():  # installed, perhaps inside somebody else's repository
        return name
    command = ["git", "-C", str(root), "rev-parse", "--short", "HEAD"]
    try:
        git = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return name
    return f"{name} ({git.stdout.strip()})"
