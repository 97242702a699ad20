"""A leak that shows: memory straight from the system, which no freed heap can hide."""

import mmap

PIECE = 64
"""KiB, and steps, of one piece."""


class Leak:
    """Takes a KiB of memory at every call, in pieces of 64, and keeps it."""

    def __init__(self):
        self.kept, self.calls = [], 0

    def __call__(self, *_):
        self.calls += 1
        if self.calls % PIECE == 0:
            piece = mmap.mmap(-1, PIECE * 1024, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            piece.write(b"x" * PIECE * 1024)  # touched, or it would not be there
            self.kept.append(piece)
