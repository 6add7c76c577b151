"""What the floods' measurement does with runs that the host disturbed; nothing is run."""

import itertools
import unittest

import steal


class Steal(unittest.TestCase):
    def taken(self, *stolen):
        """Runs that take 1,000 ticks each, so many of them stolen; returns what was kept, runs and rests."""
        clock = itertools.accumulate(itertools.chain.from_iterable((0, n) for n in stolen))
        times = itertools.accumulate(itertools.chain.from_iterable((0, 1000) for _ in stolen))
        looks, runs, rests = zip(clock, times), itertools.count(), []
        make = steal.Undisturbed(lambda: next(looks), lambda: rests.append(1))
        kept = make(lambda: next(runs))
        return kept, make.again, make.stand, len(rests)

    def test_quiet_runs_stand(self):
        self.assertEqual(self.taken(30), (0, 0, 0, 0))  # so much is allowed

    def test_disturbed_ones_are_made_again(self):
        self.assertEqual(self.taken(31, 500, 0), (2, 2, 0, 2))

    def test_the_last_one_stands(self):
        self.assertEqual(self.taken(*[31] * 6), (5, 5, 1, 5))

    def test_ticks(self):
        self.assertEqual(steal.ticks("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 1\n"), (8, 36))
        self.assertEqual(steal.ticks("cpu  1 2 3 4 5 6 7\n"), (0, 28))
        stolen, passed = steal.ticks()
        self.assertLessEqual(stolen, passed)


if __name__ == "__main__":
    unittest.main()
