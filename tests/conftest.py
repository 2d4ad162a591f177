"""What all tests share: torch's threads do not spin while they wait, or a busy machine takes minutes for seconds."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
