"""A run kept as frames: few enough for one file, spread evenly over what happened."""

from __future__ import annotations

from . import wire
from .pictures import Frame

MOST = 120  # frames
LIMIT = 2_000_000  # bytes of all frames together, so that the file that holds them stays under 3 MB


class Film:
    """Frames by epoch. When there are too many, every second one goes, and from then on only every second is taken.

    >>> film = Film()
    >>> for epoch in range(1000):
    ...     film.add(epoch, ({"loss": 0.5}, {}))
    >>> len(film.frames) <= MOST, film.frames[0][0], film.frames[-1][0]
    (True, 0, 999)
    """

    def __init__(self) -> None:
        self.kept: list[tuple[int, bytes]] = []
        self.latest: tuple[int, Frame] | None = None  # packed only where it is kept, as most are not
        self.apart = 1  # epochs between frames, at least

    def wants(self, epoch: int) -> bool:
        """Whether the frame of this epoch would be kept."""
        return not self.kept or epoch >= self.kept[-1][0] + self.apart

    def add(self, epoch: int, frame: Frame) -> None:
        """A frame after so many epochs; a second one of the same epoch is only the latest."""
        self.latest = epoch, frame
        if not self.wants(epoch):
            return
        self.kept.append((epoch, wire.pack(*frame)))
        while len(self.kept) > 2 and (len(self.kept) > MOST or sum(len(f) for _, f in self.kept) > LIMIT):
            self.kept = self.kept[::2]
            self.apart *= 2
        if self.kept[-1][0] == epoch:
            self.latest = None

    @property
    def frames(self) -> list[tuple[int, bytes]]:
        """All that is kept, and the latest."""
        if self.latest is None:
            return self.kept
        epoch, frame = self.latest
        return [*(kept for kept in self.kept if kept[0] < epoch), (epoch, wire.pack(*frame))]
