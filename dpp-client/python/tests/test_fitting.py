"""`dpp.fit` beside numpy: on-box, at workers and by the command; and plans that look up what was fitted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from processes import service

import dpp


def plan() -> dpp.Plan:
    return dpp.Plan(dense=dpp.cols("I*"), sparse=dpp.cols("C*").first_x(3), labels=dpp.col("label"), missing=-3)


def values(small, name: str) -> np.ndarray:
    found = np.array([np.nan if value is None else value for value in small.columns[name]], np.float32)
    return found[np.isfinite(found)]


def test_moments_and_quantiles_are_those_of_numpy(small):
    fitted = dpp.fit(small.url, plan(), parts=20)
    assert fitted.num_rows == small.num_rows
    for name in ("I1", "I2", "label"):
        finite = values(small, name)
        assert fitted.mean[name] == pytest.approx(finite.mean(dtype=np.float64), rel=1e-12, abs=1e-12)
        assert fitted.std[name] == pytest.approx(finite.std(dtype=np.float64), rel=1e-12)
        assert fitted.missing[name] == small.num_rows - len(finite)
        expected = np.quantile(finite, np.arange(21) / 20, method="inverted_cdf")
        assert np.array_equal(np.array(fitted.quantiles[name], np.float32), expected)
    assert fitted.borders(10)["I1"] == sorted(set(fitted.quantiles["I1"][2:-1:2]))
    with pytest.raises(dpp.InvalidRequest, match="20 parts"):
        fitted.borders(7)


def test_vocabularies_are_counts(small):
    fitted = dpp.fit(small.url, plan(), min_count=2, most_ids=40)
    for name in ("C1", "C2"):
        counted = Counter(id for row in small.lists(name) for id in row[:3])
        often = sorted((-times, id) for id, times in counted.items() if times >= 2)[:40]
        assert fitted.ids(name).tolist() == [id for _, id in often]
        assert fitted.counts(name).tolist() == [-times for times, _ in often]
    with pytest.raises(dpp.InvalidRequest, match="distinct ids"):
        dpp.fit(small.url, plan(), most_counted=3)


def test_the_real_table_gives_what_numpy_does_on_one_thread_and_on_four(jd):
    """Bit for bit the same however threads share the rows; 71 files, ids and scored lists of any length."""
    dense, lists = ["bad_comment_rate", "comment_count", "user_age"], ["sku", "last_skus", "category_share"]
    wanted = dpp.Plan(dense=[dpp.col(name) for name in dense], sparse=[dpp.col(name) for name in lists], labels=dpp.col("label"))
    one, four = (dpp.fit(jd, wanted, parts=10, min_count=5, threads=threads) for threads in (1, 4))
    assert one == four and one.digest == four.digest
    rows = pa.concat_tables(pq.ParquetFile(path).read() for path in sorted(Path(jd).glob("ds=*/*.parquet"), key=str))
    assert one.num_rows == rows.num_rows
    for name in [*dense, "label"]:
        stored = rows[name].to_numpy(zero_copy_only=False).astype(np.float32)
        finite = stored[np.isfinite(stored)].astype(np.float64)
        assert one.mean[name] == pytest.approx(finite.mean(), rel=1e-12)
        assert one.std[name] == pytest.approx(finite.std(), rel=1e-12)
        assert one.missing[name] == rows.num_rows - len(finite)
        if len(np.unique(finite)) <= 8192:
            assert one.quantiles[name] == np.quantile(finite, np.arange(11) / 10, method="inverted_cdf").tolist()
    for name in lists:
        stored = rows[name].combine_chunks()
        stored = stored.flatten() if pa.types.is_list(stored.type) else stored.drop_null()
        ids = stored.field("id") if pa.types.is_struct(stored.type) else stored
        found, counts = np.unique(ids.to_numpy(zero_copy_only=False), return_counts=True)
        often = np.lexsort((found, -counts))[: (counts >= 5).sum()]
        assert np.array_equal(one.ids(name), found[often])
        assert np.array_equal(one.counts(name), counts[often])


def test_workers_the_command_and_any_number_of_threads_find_the_same(small, processes, tmp_path):
    here = dpp.fit(small.url, plan(), threads=1)
    assert dpp.fit(small.url, plan(), threads=4).digest == here.digest
    there = dpp.fit(small.url, plan(), service=service(processes.workers(2)))
    assert there == here and there.digest == here.digest
    (tmp_path / "plan.json").write_text(plan().to_json())
    line = ["fit", "--table", small.url, "--plan", str(tmp_path / "plan.json"), "--to", f"{tmp_path}/fitted/", "--json"]
    report = json.loads(subprocess.check_output([Path(sys.executable).parent / "dpp", *line], timeout=60))
    assert report["digest"] == here.digest
    assert dpp.Fitted.load(report["url"], digest=here.digest) == here
    assert report["url"].startswith(f"{tmp_path}/fitted/{here.digest[:8]}")


def looking_up(fitted: dpp.Fitted) -> dpp.Plan:
    return dpp.Plan(
        dense=dpp.cols("I*").fill_null(0).z_score(mean=fitted.mean, std=fitted.std),
        sparse={**dpp.cols("C*").look_up(fitted), "one": dpp.col("C1").first_x(1).look_up(fitted, output="C2")},
    )


def check_look_up(small, fitted: dpp.Fitted, batches) -> None:
    first = 0
    for batch in batches:
        rows = range(first, first + batch.num_rows)
        for name in ("C1", "C2"):
            places = {id: place for place, id in enumerate(fitted.ids(name).tolist(), 1)}
            expected = [places.get(id, 0) for row in rows for id in small.lists(name)[row]]
            assert batch.sparse[name].values.tolist() == expected
        first += batch.num_rows
    assert first == small.num_rows


def test_plans_look_up_what_was_fitted_wherever_they_run(small, processes, tmp_path):
    fitted = dpp.fit(small.url, plan(), min_count=2)
    with pytest.raises(dpp.InvalidRequest, match="save"):
        looking_up(fitted)
    fitted.save(tmp_path / "small.fit")
    wanted = looking_up(fitted)
    assert len(wanted.to_json()) < 4000, "no vocabulary in the plan"
    check_look_up(small, fitted, dpp.DataLoader(small.url, wanted, batch_size=50, output="numpy"))
    remote = service(processes.workers(2))
    check_look_up(small, fitted, dpp.DataLoader(small.url, wanted, batch_size=50, service=remote, output="numpy"))
    bound = wanted.bind(dpp.Table(small.url))
    rows = {name: small.columns[name] for name in ("I1", "I2", "C1", "C2")}
    check_look_up(small, fitted, [bound.apply(rows, output="numpy")])
    most = {name: len(fitted.ids(name)) + 1 for name in ("C1", "C2")} | {"one": len(fitted.ids("C2")) + 1}
    wanted.check(dpp.Table(small.url), most)
    with pytest.raises(dpp.InvalidRequest, match="ids up to"):
        wanted.check(dpp.Table(small.url), most | {"C1": most["C1"] - 1})


def test_only_rows_that_are_kept_are_fitted(small, processes):
    kept = dpp.Plan(dense=dpp.col("I1"), sparse=dpp.col("C1"), where=dpp.col("label") == 1)
    here = dpp.fit(small.url, kept, threads=2)
    assert dpp.fit(small.url, kept, service=service([processes.worker()])) == here
    labels = small.columns["label"]
    rows = [row for row, label in enumerate(labels) if label == 1]
    assert here.num_rows == len(rows) < len(labels)
    finite = [small.columns["I1"][row] for row in rows if small.columns["I1"][row] is not None]
    assert here.mean["I1"] == pytest.approx(np.mean(finite), rel=1e-12)
    counted = Counter(id for row in rows for id in small.lists("C1")[row])
    assert dict(zip(here.ids("C1").tolist(), here.counts("C1").tolist())) == counted


def test_what_has_nothing_to_fit_is_refused(small):
    with pytest.raises(dpp.InvalidRequest, match="no dense, sparse or label output"):
        dpp.fit(small.url, dpp.Plan(extras=dpp.row_id()))


def test_another_artefact_or_none_is_refused(small, processes, tmp_path):
    fitted = dpp.fit(small.url, plan())
    fitted.save(tmp_path / "small.fit")
    wanted = looking_up(fitted)
    (tmp_path / "small.fit").write_bytes((tmp_path / "small.fit").read_bytes() + b"x")
    remote = service([processes.worker()])
    for place in (None, remote):
        with pytest.raises(dpp.InvalidRequest, match="digest"):
            dpp.DataLoader(small.url, wanted, batch_size=50, service=place, output="numpy")
    with pytest.raises(dpp.InvalidRequest, match="digest"):
        wanted.bind(dpp.Table(small.url)).apply({name: small.columns[name] for name in ("I1", "I2", "C1", "C2")})
    (tmp_path / "small.fit").unlink()
    for place in (None, remote):
        with pytest.raises(dpp.NotFound, match="small.fit"):
            dpp.DataLoader(small.url, wanted, batch_size=50, service=place, output="numpy")
    fitted.save(tmp_path / "small.fit")
    wrong = dpp.Plan(sparse={"x": dpp.col("C1").look_up(fitted, output="C3")})
    with pytest.raises(dpp.InvalidRequest, match="no vocabulary of an output `C3`"):
        dpp.DataLoader(small.url, wrong, batch_size=50, output="numpy")
