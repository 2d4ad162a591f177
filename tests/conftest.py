"""What all tests share: torch computes in one thread and does not spin while it waits, or a busy machine takes minutes
for seconds; Ctrl-C is heard by what the tests start; and what was logged can be told by a worker of pytest-xdist."""

import os
import signal

import pytest
from daemons import daemon  # noqa: F401 - a fixture: one real daemon for all files
from made_plugins import machine, plugin_bundle, plugin_tree, program  # noqa: F401 - fixtures

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# a script's command in the background ignores Ctrl-C, and what is ignored is inherited
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """A report travels as UTF-8, but half a surrogate pair can be in a log."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report
