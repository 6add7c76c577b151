"""What the tests of volley bench share: results as JSON, and what a command must not leave behind.

Every process a test starts carries a mark of its own in its environment, which children inherit: so
leftovers are told from what other tests run at the same time.
"""

import json
import os
import time
import uuid
from pathlib import Path

from volley_it import DEADLINE_S, OK, Case, no_constant, volley

BENCH_BIN = os.environ.get("VOLLEY_BENCH_BIN", "")
SRC = Path(os.environ.get("VOLLEY_SRC", Path(__file__).parents[2]))


def wait_until(condition, what, deadline_s=DEADLINE_S):
    """For what no line tells: asks again until it is so."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s} s: {what}")
        time.sleep(0.005)


def load(path, **options):
    return json.loads(Path(path).read_text(), parse_constant=no_constant, **options)


class BenchCase(Case):
    def setUp(self):
        super().setUp()
        self.mark = f"VOLLEY_IT_MARK={uuid.uuid4()}"
        key, value = self.mark.split("=")
        self.env = {**os.environ, key: value}
        self.before = self.system()
        self.addCleanup(self.check_nothing_left)

    def system(self):
        """Named namespaces and network devices of this machine."""
        return ({p.name for p in Path("/run/netns").glob("*")}, {p.name for p in Path("/sys/class/net").glob("*")})

    def processes(self, word=""):
        """Ids of living processes that carry the mark and have `word` in their command line."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if (self.mark.encode() in (entry / "environ").read_bytes()
                        and word.encode() in (entry / "cmdline").read_bytes()):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def check_nothing_left(self):
        """No process (and with it no namespace without a name), no named namespace, no device."""
        wait_until(lambda: not self.processes(), "the end of all children", 10)
        names, devices = self.before
        wait_until(lambda: self.system()[0] <= names, "no new namespaces", 10)
        wait_until(lambda: self.system()[1] <= devices, "no new devices", 10)

    def bench(self, *args, code=OK, **popen):
        result = volley("bench", *args, env={**self.env, **popen.pop("env", {})}, **popen)
        self.assertEqual(result.code, code, result.err)
        return result

    def bench_json(self, *args, **popen):
        return json.loads(self.bench(*args, "--json", **popen).out, parse_constant=no_constant)

    def row(self, doc, name):
        return next(row for row in doc["rows"] if row["id"] == name)
