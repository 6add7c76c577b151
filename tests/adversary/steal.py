"""Runs that the host of a virtual machine left alone: another one is made in place of one that it disturbed."""

import time
from pathlib import Path

MOST = 0.03  # of the time of all processors; what is measured beyond that is the neighbours
RETRIES = 5
REST_S = 2


def ticks(stat=None):
    """Time of all processors since the boot: what the host took, and all; from the text of /proc/stat."""
    stat = stat or Path("/proc/stat").read_text(encoding="ascii")
    states = [int(word) for word in stat.partition("\n")[0].split()[1:9]]  # guests are in two of them
    return (states[7] if len(states) == 8 else 0), sum(states)


class Undisturbed:
    """Makes runs, and counts those that it threw away. Nothing but the stolen time is looked at."""

    def __init__(self, look=ticks, rest=lambda: time.sleep(REST_S)):
        self.look = look
        self.rest = rest
        self.again = 0  # runs thrown away
        self.stand = 0  # that are in though each try was disturbed

    def __call__(self, run, *args):
        """What the first undisturbed run(*args) returns, or after so many retries the last one."""
        for retries in range(RETRIES + 1):
            before = self.look()
            result = run(*args)
            stolen, passed = (now - then for now, then in zip(self.look(), before))
            if stolen <= MOST * passed:
                return result
            if retries < RETRIES:
                self.again += 1
                self.rest()
        self.stand += 1
        return result
