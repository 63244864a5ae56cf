"""Prints random settings and the order that the reference gives them, one JSON object a line: python order_cases.py COUNT SEED"""
import json
import random
import sys

from order_reference import Order, rank_batches

count, seed = map(int, sys.argv[1:])
rng = random.Random(seed)
for _ in range(count):
    groups = tuple(rng.randrange(1, 40) for _ in range(rng.randrange(1, 8)))
    lanes = rng.choice([1, 2, 3, 4, 8])
    order = Order(groups, lanes * rng.randrange(1, 6), lanes, rng.choice([3, 7, 16, 64]), rng.randrange(2**64), rng.choice([0, -1, 2]), rng.choice([0, 2, 5]))
    epoch, drop_last = rng.randrange(3), rng.random() < 0.3
    start, world_size, global_batch = rng.randrange(order.rows + 1), rng.choice([1, 2, 3, 5, 8]), rng.randrange(1, 40)
    ranks = [list(rank_batches(order, epoch, start, global_batch, rank, world_size, drop_last)) for rank in range(world_size)]
    print(json.dumps({"row_groups": groups, "round_rows": order.round_rows, "lanes": lanes, "split_rows": order.split_rows, "seed": order.seed,
                      "shuffle_splits": order.shuffle_splits, "shuffle_rows": order.shuffle_rows, "epoch": epoch, "flat": order.flat(epoch),
                      "start": start, "global_batch": global_batch, "drop_last": drop_last, "ranks": ranks}, separators=(",", ":")))
