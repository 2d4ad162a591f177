"""How a daemon is set up: where it keeps things, where it listens, and its limits."""

from dataclasses import dataclass, field
from pathlib import Path

from scumble.picture import MAX_PIXELS


@dataclass(frozen=True)
class Limits:
    """What is accepted and what is kept; every refusal names the limit and the option that raises it."""

    body_bytes: int = 2 * 2**30
    """Of one request; `--max-body-mb`."""
    pixels: int = MAX_PIXELS
    """Of one picture; `--max-pixels`."""
    parts: int = 64
    """Of one multipart request."""
    form_bytes: int = 2**20
    """Of all parts together that are no pictures."""
    queue: int = 256
    """Jobs that wait; `--queue`."""
    results: int = 200
    """Results that are kept; `--keep-results`."""
    results_bytes: int = 4 * 2**30
    """Of all results and their inputs together; `--keep-mb`."""
    jobs: int = 1000
    """Jobs that are remembered, their results gone or not."""
    cache_bytes: int = 512 * 2**20
    """Style statistics on the disk."""
    spare_bytes: int = 64 * 2**20
    """What must stay free on the disk for a job to be accepted."""


@dataclass(frozen=True)
class Settings:
    """One daemon's set-up. Port 0 takes any free one; a device is named as torch does, or `auto`."""

    home: Path
    token: str = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 0
    allowed_hosts: tuple[str, ...] = ()
    """Names under which it may be asked besides the loopback's."""
    devices: tuple[str, ...] = ("auto",)
    idle_s: float = 600.0
    """After so long without work the workers are sent home, with all their memory."""
    limits: Limits = field(default_factory=Limits)

    @property
    def store(self) -> Path:
        """Jobs, their inputs and results."""
        return self.home / "store"

    @property
    def library(self) -> Path:
        """The style library."""
        return self.home / "styles"

    @property
    def cache(self) -> Path:
        """Style statistics: may be deleted at any time."""
        return self.home / "cache"

    @property
    def logs(self) -> Path:
        """Log files."""
        return self.home / "logs"

    @property
    def is_remote(self) -> bool:
        """Whether other machines can reach it."""
        return self.host not in {"127.0.0.1", "localhost", "::1"}
