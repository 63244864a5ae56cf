"""Prints random filtered orders as the reference gives them, one JSON object a line: python filtered_order_cases.py COUNT SEED"""
import json
import random
import sys

from filtered_order_reference import Filtered, Uneven
from order_reference import Order, mix

count, seed = map(int, sys.argv[1:])
rng = random.Random(seed)
for _ in range(count):
    groups = tuple(rng.randrange(1, 40) for _ in range(rng.randrange(1, 8)))
    lanes = rng.choice([1, 2, 3, 4, 8])
    order = Order(groups, lanes * rng.randrange(1, 6), lanes, rng.choice([3, 7, 16, 64]), rng.randrange(2**64), rng.choice([0, -1, 2]), rng.choice([0, 2, 5]))
    epoch, chance, salt = rng.randrange(3), rng.choice([0, 0.1, 0.5, 0.9, 1]), rng.randrange(2**32)
    kept = [row for row in range(order.rows) if mix(salt, row) < chance * 2**64]
    filtered = Filtered(order, set(kept).__contains__, rng.choice(["drop", "pad", "error"]))
    try:
        flat = filtered.flat(epoch)
    except Uneven:
        flat = None
    print(json.dumps({"row_groups": groups, "round_rows": order.round_rows, "lanes": lanes, "split_rows": order.split_rows, "seed": order.seed,
                      "shuffle_splits": order.shuffle_splits, "shuffle_rows": order.shuffle_rows, "epoch": epoch, "kept": kept,
                      "on_uneven": filtered.on_uneven, "inputs": filtered.inputs(epoch), "flat": flat}, separators=(",", ":")))
