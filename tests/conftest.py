"""What all tests share: torch's threads do not spin while they wait, or a busy machine takes minutes for seconds; and
Ctrl-C is heard by what the tests start."""

import os
import signal

from daemons import daemon  # noqa: F401 - a fixture: one real daemon for all files
from made_plugins import machine, plugin_bundle, plugin_tree, program  # noqa: F401 - fixtures

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# a script's command in the background ignores Ctrl-C, and what is ignored is inherited
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
