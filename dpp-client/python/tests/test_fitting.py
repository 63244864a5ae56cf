"""`dpp.fit` beside numpy: on-box, at workers and by the command; and plans that look up what was fitted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from processes import service

import dpp


def plan() -> dpp.Plan:
    return dpp.Plan(dense=dpp.cols("I*"), sparse=dpp.cols("C*").first_x(3), labels=dpp.col("label"), missing=-3)


def values(small, name: str) -> np.ndarray:
    found = np.array([np.nan if value is None else value for value in small.columns[name]], np.float32)
    return found[np.isfinite(found)]


def test_moments_and_quantiles_are_those_of_numpy(small):
    fitted = dpp.fit(small.url, plan(), parts=20, batch_size=17)
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


def test_workers_the_command_and_any_batch_size_find_the_same(small, processes, tmp_path):
    here = dpp.fit(small.url, plan(), batch_size=64)
    there = dpp.fit(small.url, plan(), batch_size=23, service=service(processes.workers(2)))
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
