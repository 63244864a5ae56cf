"""Reads some batches, saves where it stands, and continues with a new loader as if nothing had happened.

    python examples/2_stop_and_continue.py build/demo-table
"""
import json
import sys

import dpp

table = dpp.Table(sys.argv[1])
plan = dpp.Plan(labels=dpp.col("label"), extras=[dpp.row_id()])

with dpp.DataLoader(table, plan, batch_size=1000) as loader:
    for step, batch in enumerate(loader):
        if step == 2:
            break
    state = json.dumps(loader.state_dict())  # beside the model's own checkpoint
    print(f"stopped after row {batch.extras['row_id'][-1]}: {state}")

with dpp.DataLoader(table, plan, batch_size=500) as loader:  # another batch size is fine
    loader.load_state_dict(json.loads(state))
    batch = next(iter(loader))
    print(f"continued with row {batch.extras['row_id'][0]}")
