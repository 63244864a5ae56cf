"""The order of rows, as plainly as it can be said: the README's section on order as code (without row filters), for tests to compare with.

Everything is a pure function of the settings. Rows are named by their position in the snapshot (0 .. N-1).
Run it to check its own claims by brute force: python order_reference.py
"""
from dataclasses import dataclass

MASK = (1 << 64) - 1


def mix(*words):
    """64-bit hash of integers: splitmix64's finaliser, chained."""
    h = 0
    for w in words:
        h = ((h ^ (w & MASK)) + 0x9E3779B97F4A7C15) & MASK
        h = ((h ^ (h >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        h = ((h ^ (h >> 27)) * 0x94D049BB133111EB) & MASK
        h ^= h >> 31
    return h


@dataclass(frozen=True)
class Order:
    """What fixes the order of a run for ever; its hash is in every state. World size and batch size are not in it."""
    row_groups: tuple            # rows of every row group of the snapshot, in path order
    round_rows: int              # rows of a round; by default the global batch with which the run began
    lanes: int = 1               # places of a stripe read side by side; divides round_rows; by default the world size then
    split_rows: int = 65536      # a split is at most this long, and never crosses a row group
    seed: int = 0
    shuffle_splits: int = 0      # 0: in order. n > 0: permute within blocks of n splits; -1: over the whole epoch
    shuffle_rows: int = 0        # 0: in order. n > 0: permute rows within windows of n rows of a piece

    def __post_init__(self):
        if self.round_rows % self.lanes:
            raise ValueError(f"lanes ({self.lanes}) must divide round_rows ({self.round_rows})")

    @property
    def rows(self):
        return sum(self.row_groups)

    @property
    def rounds_per_stripe(self):  # a lane's share of a stripe is about one split (rounded half up)
        return max(1, (2 * self.split_rows * self.lanes + self.round_rows) // (2 * self.round_rows))

    def splits(self):
        """(first row, rows), in snapshot order."""
        start = 0
        for n in self.row_groups:
            for at in range(0, n, self.split_rows):
                yield start + at, min(self.split_rows, n - at)
            start += n

    def sequence(self, epoch):
        """The epoch's splits in the order in which they are laid end to end."""
        splits = list(enumerate(self.splits()))
        block = len(splits) if self.shuffle_splits < 0 else self.shuffle_splits
        if block:
            splits.sort(key=lambda s: (s[0] // block, mix(self.seed, epoch, s[0]), s[0]))
        return [s for _, s in splits]

    def runs(self):
        """(rounds, first position, rows a round) of every lane's run, stripe by stripe; the rows left at the end are a run of their own."""
        whole, rest = divmod(self.rows, self.round_rows)
        for first in range(0, whole, self.rounds_per_stripe):
            rounds = min(self.rounds_per_stripe, whole - first)
            share = self.round_rows // self.lanes
            yield [(rounds, first * self.round_rows + lane * rounds * share, share) for lane in range(self.lanes)]
        if rest:
            yield [(1, whole * self.round_rows, rest)]

    def flat(self, epoch):
        """All rows of the epoch, in the order in which the run consumes them."""
        rows, at = [None] * self.rows, 0
        cuts = sorted({start + part for stripe in self.runs() for n, start, share in stripe for part in (0, n * share)})
        for first_row, n in self.sequence(epoch):
            edges = sorted({at, at + n} | {c for c in cuts if at < c < at + n})
            for lo, hi in zip(edges, edges[1:]):                     # a piece: a lane's part of a split
                window = self.shuffle_rows or hi - lo
                for w in range(lo, hi, window):
                    some = [first_row + p - at for p in range(w, min(w + window, hi))]
                    if self.shuffle_rows:
                        some.sort(key=lambda r: (mix(self.seed, epoch, first_row + lo - at, r), r))
                    rows[w:w + len(some)] = some
            at += n
        out = []
        for stripe in self.runs():
            for j in range(stripe[0][0]):
                for _, start, share in stripe:
                    out += rows[start + j * share:start + (j + 1) * share]
        return out


def steps(rows, start, global_batch, drop_last=False):
    """Steps from flat position `start` on: the same number for every rank, known without reading anything."""
    full, rest = divmod(rows - start, global_batch)
    return full + (1 if rest and not drop_last else 0)


def rank_batches(order, epoch, start, global_batch, rank, world_size, drop_last=False):
    """What one rank consumes from flat position `start` (the cursor) on. Any world size and any batch size serve."""
    flat = order.flat(epoch)
    for t in range(steps(order.rows, start, global_batch, drop_last)):
        step = flat[start + t * global_batch:start + (t + 1) * global_batch]
        yield step[rank * len(step) // world_size:(rank + 1) * len(step) // world_size]


def check():
    import random
    rng = random.Random(1)
    for tried in range(3000):
        groups = tuple(rng.randrange(1, 40) for _ in range(rng.randrange(1, 8)))
        lanes = rng.choice([1, 2, 3, 4, 8])
        order = Order(groups, lanes * rng.randrange(1, 6), lanes, rng.choice([3, 7, 16, 64]), rng.randrange(9), rng.choice([0, -1, 2]), rng.choice([0, 2, 5]))
        epoch, drop = rng.randrange(3), rng.random() < 0.3
        flat = order.flat(epoch)
        assert sorted(flat) == list(range(order.rows))                                       # every row, once
        cursor, seen = 0, []
        while cursor < order.rows and not (drop and order.rows - cursor < 1):                # train, stop, go on with other ranks and batches
            world, batch = rng.choice([1, 2, 3, 5, 8]), rng.randrange(1, 40)
            ranks = [list(rank_batches(order, epoch, cursor, batch, r, world, drop)) for r in range(world)]
            assert all(len(r) == steps(order.rows, cursor, batch, drop) for r in ranks)      # every rank takes the same number of steps
            stop = rng.randrange(len(ranks[0]) + 1)
            for t in range(stop):
                seen += [x for r in ranks for x in r[t]]
            cursor = len(seen)
            if drop and not ranks[0]:
                break
        assert seen == flat[:cursor]                                                         # exactly the order, whoever consumed it
    big = Order((100_000,) * 7, 8192, 8)
    stripe, flat = big.rounds_per_stripe * 8192, big.flat(0)
    assert all(abs(row - at) < stripe for at, row in enumerate(flat))                        # unshuffled, time is kept to within a stripe
    print(f"{tried + 1} random orders hold; a stripe of the last is {stripe} rows")


if __name__ == "__main__":
    check()
