"""What all tests share: torch's threads do not spin while they wait, or a busy machine takes minutes for seconds."""

import os

from daemons import daemon  # noqa: F401 - a fixture: one real daemon for all files

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
