"""Memory that is kept between steps, in a process of its own: what glibc is told holds for all of one."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from scumble.engine.machine import KEPT_MAP

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not tell what is held")

_BEGIN = """
import resource
from pathlib import Path

import torch
from scumble.engine.machine import held_pages, network_pass

def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20

def map_of(megabytes):
    return torch.ones(megabytes * 2**18)

map_of(1)
idle = held()
"""


def _told(code):
    """What is printed, MB above what was held before."""
    ran = subprocess.run(
        [sys.executable, "-c", _BEGIN + textwrap.dedent(code)], check=True, stdout=subprocess.PIPE, text=True
    )
    return [float(line) for line in ran.stdout.split()]


def test_maps_of_a_network_pass_are_kept_and_pictures_are_not():
    during, picture, after = _told(
        """
        with held_pages():
            with network_pass():
                map_of(100)
            print(held() - idle)
            map_of(200)
            print(held() - idle)
        print(held() - idle)
        """
    )
    assert during > 90
    assert picture < 120  # those of the picture went back at once
    assert after < 20


def test_large_maps_are_not_kept_where_they_are_too_much():
    small, large = KEPT_MAP // 2**20 // 2, 4 * KEPT_MAP // 2**20
    found = _told(
        f"""
        with held_pages(all_maps=False), network_pass():
            map_of({large})
            print(held() - idle)
            map_of({small})
            print(held() - idle)
        """
    )
    assert found[0] < large / 4
    assert found[1] > small / 2


def test_nothing_is_kept_outside_of_a_job():
    (found,) = _told(
        """
        with network_pass():
            map_of(100)
        print(held() - idle)
        """
    )
    assert found < 20


def test_a_pass_within_another_ends_nothing():
    (found,) = _told(
        """
        with held_pages(), network_pass():
            with network_pass():
                pass
            map_of(100)
            print(held() - idle)
        """
    )
    assert found > 90
