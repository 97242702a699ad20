"""`python -m edgeseq`."""

from edgeseq.cli import main

main()
