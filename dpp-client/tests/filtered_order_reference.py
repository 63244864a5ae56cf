"""The order of a filtered job, as plainly as it can be said: streams of survivors per lane, rounds over them, and the cursor.

A filter makes every lane a stream of survivors. A lane is its runs of all stripes end to end; the rows left at the end belong
to the last lane. A round takes the next R/L survivors of every lane, lane by lane, for as long as every lane has so many. Then
lanes end unevenly, and `on_uneven` says what the rounds that follow take:

    drop   as many of every lane as the shortest has left, once
    pad    up to R/L of every lane, padded to the most that a lane has left; until all are empty
    error  as drop when all lanes have as many left, else an error

One lane never ends unevenly: it gives every survivor. Padded rows are None here.
Run it to check its own claims by brute force: python filtered_order_reference.py
"""
from dataclasses import dataclass

from order_reference import Order, mix


class Uneven(Exception):
    """Lanes ended unevenly, and on_uneven is "error"."""


@dataclass(frozen=True)
class Filtered:
    """An order whose rows are dropped unless `keep(row)`."""
    order: Order
    keep: object
    on_uneven: str = "drop"

    @property
    def share(self):
        return self.order.round_rows // self.order.lanes

    def inputs(self, epoch):
        """The rows of every lane before the filter, in the lane's order."""
        sequence = unrounded(self.order, epoch)
        lanes = [[] for _ in range(self.order.lanes)]
        for stripe in self.order.runs():
            for lane, (rounds, start, share) in place(stripe, self.order.lanes):
                lanes[lane] += sequence[start:start + rounds * share]
        return lanes

    def lanes(self, epoch):
        """The survivors of every lane."""
        return [[row for row in lane if self.keep(row)] for lane in self.inputs(epoch)]

    def rounds(self, epoch):
        """How many rows every round takes of every lane. Padding counts; a round takes as many of each."""
        left = [len(lane) for lane in self.lanes(epoch)]
        while True:
            given = [min(n, self.share) for n in left]
            rows = max(given) if self.on_uneven == "pad" else min(given)
            if self.on_uneven == "error" and rows < max(given):
                raise Uneven
            if rows:
                yield rows
            if rows < self.share and (self.on_uneven != "pad" or not any(n > self.share for n in left)):
                return
            left = [max(0, n - rows) for n in left]

    def flat(self, epoch):
        """All rows that the run consumes, in order; None is a padded row."""
        lanes, taken, out = self.lanes(epoch), 0, []
        for rows in self.rounds(epoch):
            for lane in lanes:
                some = lane[taken:taken + rows]
                out += some + [None] * (rows - len(some))
            taken += rows
        return out

    def cursor(self, epoch, flat_rows):
        """Of every lane how many survivors the first `flat_rows` rows of the flat order took."""
        taken, at = [0] * self.order.lanes, 0
        for rows in self.rounds(epoch):
            for lane in range(self.order.lanes):
                taken[lane] += min(rows, max(0, flat_rows - at))
                at += rows
        return [min(n, len(lane)) for n, lane in zip(taken, self.lanes(epoch))]


def place(stripe, lanes):
    """(lane, run) of a stripe; the rows left at the end, a stripe of one run, are the last lane's."""
    return enumerate(stripe) if len(stripe) == lanes else [(lanes - 1, run) for run in stripe]


def unrounded(order, epoch):
    """The rows at every position of the epoch's sequence, shuffled within pieces."""
    rows = [None] * order.rows
    for position, row in zip(positions(order), order.flat(epoch)):
        rows[position] = row
    return rows


def positions(order):
    """The sequence position of every flat position."""
    for stripe in order.runs():
        for j in range(stripe[0][0]):
            for _, start, share in stripe:
                yield from range(start + j * share, start + (j + 1) * share)


def rank_batches(filtered, epoch, start, global_batch, rank, world_size, drop_last=False):
    """What one rank consumes from flat position `start` (the cursor) on: as without a filter, of the flat order of survivors."""
    flat = filtered.flat(epoch)
    while start < len(flat) and not (drop_last and len(flat) - start < global_batch):
        step = flat[start:start + global_batch]
        yield step[rank * len(step) // world_size:(rank + 1) * len(step) // world_size]
        start += len(step)


def check():
    import random
    rng = random.Random(1)
    errors = 0
    for tried in range(300):
        groups = tuple(rng.randrange(1, 40) for _ in range(rng.randrange(1, 8)))
        lanes = rng.choice([1, 2, 3, 4, 8])
        order = Order(groups, lanes * rng.randrange(1, 6), lanes, rng.choice([3, 7, 16, 64]), rng.randrange(9), rng.choice([0, -1, 2]), rng.choice([0, 2, 5]))
        epoch, chance, salt = rng.randrange(3), rng.choice([0, 0.1, 0.5, 0.9, 1]), rng.randrange(99)
        keep = lambda row: mix(salt, row) < chance * 2**64
        survivors = [row for row in range(order.rows) if keep(row)]
        by_rule = {}
        for rule in ("drop", "pad", "error"):
            try:
                by_rule[rule] = Filtered(order, keep, rule).flat(epoch)
            except Uneven:
                errors += 1
        lanes_of = Filtered(order, keep).lanes(epoch)
        assert sorted(sum(lanes_of, [])) == survivors                                        # every survivor is one lane's
        dropped, padded = by_rule["drop"], by_rule["pad"]
        assert len(set(dropped)) == len(dropped) and set(dropped) <= set(survivors)          # drop: none twice
        assert sorted(row for row in padded if row is not None) == survivors                 # pad: every survivor, once
        assert padded[:len(dropped)][:len(dropped) // order.round_rows * order.round_rows] == dropped[:len(dropped) // order.round_rows * order.round_rows]
        if "error" in by_rule:
            assert by_rule["error"] == dropped == padded                                     # error: only where nothing is lost
        if lanes == 1:
            assert dropped == padded == by_rule["error"] == lanes_of[0]                      # one lane never ends unevenly
        if chance == 1 and order.rows % order.round_rows == 0:
            assert dropped == order.flat(epoch)                                              # all rows kept: the order without a filter
        for rule, flat in by_rule.items():
            filtered = Filtered(order, keep, rule)
            cut = rng.randrange(len(flat) + 1)
            taken = filtered.cursor(epoch, cut)
            assert sorted(row for row in flat[:cut] if row is not None) == sorted(sum((lane[:n] for lane, n in zip(lanes_of, taken)), []))
            batch, world = rng.randrange(1, 40), rng.choice([1, 2, 3, 5])
            ranks = [list(rank_batches(filtered, epoch, cut, batch, r, world)) for r in range(world)]
            assert len({len(r) for r in ranks}) == 1                                         # every rank takes the same number of steps
            assert flat[:cut] + [row for step in zip(*ranks) for part in step for row in part] == flat
    assert errors > 50
    print(f"{tried + 1} random filtered orders hold")


if __name__ == "__main__":
    check()
