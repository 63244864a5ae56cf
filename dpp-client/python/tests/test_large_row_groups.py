"""Row groups of many splits as pyarrow writes them: without a page index, pages of lists beginning anywhere within a row."""

import dpp
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

ROWS = 400_000


@pytest.fixture(scope="module", params=["v1 pages", "v2 pages"])
def written(request, tmp_path_factory):
    random = np.random.default_rng(3)
    ends = np.cumsum(random.integers(0, 16, ROWS), dtype=np.int32)
    offsets = pa.array(np.concatenate([np.zeros(1, np.int32), ends]))
    many, few = (pa.array(random.integers(0, most, ends[-1])) for most in (2**40, 50))
    nulls = pa.array(random.random(ROWS) < 0.05)
    rows = pa.table({
        "x": pa.array(random.random(ROWS, dtype=np.float32), mask=random.random(ROWS) < 0.1),
        "n": pa.array(random.integers(0, 2**60, ROWS)),
        "many": pa.ListArray.from_arrays(offsets, many, mask=nulls),
        "few": pa.ListArray.from_arrays(offsets, few),
    })
    path = tmp_path_factory.mktemp("large") / "part.parquet"
    version = "1.0" if request.param == "v1 pages" else "2.0"
    pq.write_table(rows, path, row_group_size=ROWS, data_page_size=64 << 10, data_page_version=version)
    return path, rows


@pytest.mark.parametrize("shuffle", [False, True])
def test_every_piece_reads_its_own_pages(written, shuffle):
    path, rows = written
    plan = dpp.Plan(
        dense=[dpp.col("x").fill_null(-1.0)],
        sparse=[dpp.col("many"), dpp.col("few"), dpp.col("n").to_ids()],
        extras=[dpp.row_id()],
    )
    loader = dpp.DataLoader(dpp.Table(path.parent), plan, batch_size=10_000, drop_last=False, shuffle=shuffle, seed=3)
    seen = []
    for batch in loader:
        ids = batch.extras["row_id"].numpy()
        wanted = rows.take(pa.array(ids))
        lists = [wanted["many"], wanted["few"]]
        lengths = [pc.fill_null(pc.list_value_length(column), 0).to_numpy() for column in lists]
        values = [pc.list_flatten(column).to_numpy() for column in lists] + [wanted["n"].to_numpy()]
        np.testing.assert_array_equal(batch.dense[:, 0], pc.fill_null(wanted["x"], -1.0).to_numpy())
        np.testing.assert_array_equal(batch.sparse.lengths.reshape(3, -1)[:2], lengths)
        np.testing.assert_array_equal(batch.sparse.values, np.concatenate(values))
        seen.append(ids)
    assert sorted(np.concatenate(seen)) == list(range(ROWS))
    # once to find the pages, once to read them; each of a dozen pieces with its dictionaries, and pages that it shares
    assert loader.stats()["read_bytes"] < 4 * path.stat().st_size


def test_levels_of_the_formats_first_years_are_read_by_every_piece(tmp_path):
    """Pages of 48 values take six bytes for their levels in either encoding, so one can stand in the other's place."""
    rows = 48 * 6_000
    x = np.random.default_rng(0).random(rows, dtype=np.float32)
    path = tmp_path / "part.parquet"
    pq.write_table(
        pa.table({"x": x}),
        path,
        row_group_size=rows,
        data_page_size=1,
        write_batch_size=48,
        use_dictionary=False,
        compression="none",
        write_statistics=False,
    )
    stored = path.read_bytes()
    of_today = bytes.fromhex("2c 1560 1500 1506 1506 1c00 00 00 02000000 6001")
    of_old = bytes.fromhex("2c 1560 1500 1508 1506 1c00 00 00 ffffffff ffff")
    assert stored.count(of_today) == 6_000
    path.write_bytes(stored.replace(of_today, of_old))
    plan = dpp.Plan(dense=[dpp.col("x")], extras=[dpp.row_id()])
    seen = 0
    for batch in dpp.DataLoader(dpp.Table(tmp_path), plan, batch_size=10_000, drop_last=False):
        np.testing.assert_array_equal(batch.dense[:, 0], x[batch.extras["row_id"].numpy()])
        seen += len(batch.extras["row_id"])
    assert seen == rows
