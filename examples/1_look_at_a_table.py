"""What a table offers, before any row is read: files, partitions, features, and the hash that names them.

    python examples/1_look_at_a_table.py build/demo-table
"""
import sys
from collections import Counter

import dpp

table = dpp.Table(sys.argv[1])
snapshot = table.snapshot()
print(f"{table.num_rows:,} rows in {table.num_files} files, partitioned by {table.partition_columns or 'nothing'}")
print(f"snapshot {snapshot.hash}")
print(dict(Counter(feature.kind for feature in table.features)))
for feature in table.features:
    print(f"  {feature.name:20} {feature.kind}")
