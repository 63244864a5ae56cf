"""Encrypted tables: what pyarrow writes, dpp reads, in every mode; and what is wrong is said, without a key in it."""

from __future__ import annotations

import copy
import itertools
import pickle
import traceback
from base64 import b64encode
from pathlib import Path

import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest

import dpp
import encrypted_table
from encrypted_table import MASTERS, PLAN, TABLE, key_file

STYLES = [
    dict(zip(("uniform", "plaintext_footer", "double_wrapping", "internal_key_material"), flags))
    for flags in itertools.product([True, False], repeat=4)
]


def load(table: dpp.Table | str | Path, **settings: object) -> dpp.DataLoader:
    return dpp.DataLoader(table, PLAN, **({"batch_size": 64, "output": "numpy"} | settings))


def style_name(style: dict[str, bool]) -> str:
    return "-".join(name for name, chosen in style.items() if chosen) or "none"


@pytest.mark.parametrize("style", STYLES, ids=style_name)
@pytest.mark.parametrize("bits", [128, 256])
def test_what_pyarrow_writes_is_read(tmp_path, style, bits):
    (tmp_path / "table").mkdir()
    encrypted_table.write(tmp_path / "table" / "part.parquet", data_key_length_bits=bits, **style)
    keys = dpp.KeyFile(key_file(tmp_path))
    encrypted_table.check(load(dpp.Table(tmp_path / "table", decryption=keys)))


@pytest.mark.parametrize("plaintext_footer", [False, True])
@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("supplied", [False, True])
def test_aad_prefixes_stored_and_supplied(tmp_path, plaintext_footer, stored, supplied):
    """pyarrow gives prefixes to uniformly encrypted files, with keys that no metadata names."""
    path = tmp_path / "part.parquet"
    properties = pe.create_encryption_properties(
        MASTERS["footer"], aad_prefix=b"clicks", store_aad_prefix=stored, plaintext_footer=plaintext_footer
    )
    pq.write_table(TABLE, path, encryption_properties=properties)
    prefix = "clicks" if supplied else None
    keys = dpp.Keys(MASTERS, footer="footer", aad_prefix=prefix)
    if stored or supplied:
        encrypted_table.check(load(dpp.Table(path, decryption=keys)))
        keys = dpp.Keys(MASTERS, footer="footer", aad_prefix="views")
        says = "swapped"
    else:
        says = "AAD prefix"
    with pytest.raises(dpp.PermissionDenied, match=says):
        list(load(dpp.Table(path, decryption=keys)))


def test_every_place_of_keys_is_the_same(tmp_path, monkeypatch):
    path = tmp_path / "part.parquet"
    encrypted_table.write(path)
    file = key_file(tmp_path)
    monkeypatch.setenv("ADS_KEYS", file.read_text())
    text = {name: b64encode(key).decode() for name, key in MASTERS.items()}
    older = {name: [bytes(16), key] for name, key in MASTERS.items()}
    for keys in (dpp.KeyFile(file), dpp.EnvironmentKeys("ADS_KEYS"), dpp.Keys(MASTERS), dpp.Keys(text), dpp.Keys(older)):
        encrypted_table.check(load(dpp.Table(path, decryption=keys)))
        for key in MASTERS.values():
            assert key.hex() not in repr(keys) and b64encode(key).decode() not in repr(keys)


def message(kind: type[dpp.Error], keys: dpp.keys.KeyProvider | None, path: Path, **feature: object) -> str:
    """The error of reading with these keys, in which no key is."""
    plan = dpp.Plan(dense=dpp.col(feature.pop("feature", "price")).fill_null(0))
    with pytest.raises(kind) as raised:
        list(dpp.DataLoader(dpp.Table(path, decryption=keys), plan, batch_size=64, output="numpy"))
    shown = "".join(traceback.format_exception(raised.value)) + repr(raised.value)
    for key in MASTERS.values():
        assert key.hex() not in shown and b64encode(key).decode() not in shown and repr(key)[2:-1] not in shown
    return str(raised.value)


@pytest.mark.parametrize("plaintext_footer", [False, True])
def test_what_is_wrong_is_said(tmp_path, plaintext_footer):
    path = tmp_path / "part.parquet"
    encrypted_table.write(path, plaintext_footer=plaintext_footer, double_wrapping=False)
    denied = dpp.PermissionDenied
    assert "encrypted" in message(denied, None, path)

    without = {name: key for name, key in MASTERS.items() if name != "price"}
    said = message(denied, dpp.Keys(without), path)
    assert "column price" in said and 'no key "price"' in said and "part.parquet" in said
    wrong = MASTERS | {"price": bytes(16)}
    said = message(denied, dpp.Keys(wrong), path)
    assert "column price" in said and 'key "price" is wrong' in said
    without = {name: key for name, key in MASTERS.items() if name != "footer"}
    said = message(denied, dpp.Keys(without), path)
    assert "footer" in said and 'no key "footer"' in said

    # columns without keys of their own need the footer's at most
    only = dpp.Keys({"footer": MASTERS["footer"]})
    plan = dpp.Plan(labels=dpp.col("label"))
    assert len(list(dpp.DataLoader(dpp.Table(path, decryption=only), plan, batch_size=300, output="numpy"))) == 1


@pytest.mark.parametrize("plaintext_footer", [False, True])
def test_exchanged_files_are_noticed(tmp_path, plaintext_footer):
    """Two files of one table, of equal layout; a reader that knows which is which by their AAD prefix reads neither."""
    for day in ("1", "2"):
        folder = tmp_path / f"ds={day}"
        folder.mkdir()
        properties = pe.create_encryption_properties(
            MASTERS["footer"], aad_prefix=f"day {day}".encode(), store_aad_prefix=False, plaintext_footer=plaintext_footer
        )
        pq.write_table(TABLE, folder / "part.parquet", encryption_properties=properties)
    keys = dpp.Keys(MASTERS, footer="footer", aad_prefix="day 1")
    plan = dpp.Plan(labels=dpp.col("label"))
    one = dpp.Table(tmp_path, decryption=keys).filter(dpp.col("ds") == "1")
    assert len(list(dpp.DataLoader(one, plan, batch_size=300, output="numpy"))) == 1

    first, second = (tmp_path / f"ds={day}" / "part.parquet" for day in ("1", "2"))
    exchange(first, second)
    with pytest.raises(dpp.PermissionDenied, match="ds=1/part.parquet.*swapped"):
        one = dpp.Table(tmp_path, decryption=keys).filter(dpp.col("ds") == "1")
        list(dpp.DataLoader(one, plan, batch_size=300, output="numpy"))


def test_a_snapshot_notices_exchanged_files(tmp_path):
    """Without prefixes files open by what they store themselves; then it is the snapshot that says which is which."""
    for day in ("1", "2"):
        (tmp_path / f"ds={day}").mkdir()
        encrypted_table.write(tmp_path / f"ds={day}" / "part.parquet")
    keys = dpp.Keys(MASTERS)
    loader = load(dpp.Table(tmp_path, decryption=keys))
    first, second = (tmp_path / f"ds={day}" / "part.parquet" for day in ("1", "2"))
    exchange(first, second)
    with pytest.raises(dpp.Changed, match="part.parquet"):
        list(loader)


def exchange(first: Path, second: Path) -> None:
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


def test_keys_in_memory_stay_in_memory(tmp_path):
    keys = dpp.Keys(MASTERS)
    table = dpp.Table(tmp_path, decryption=keys)
    for thing in (keys, table):
        with pytest.raises(dpp.InvalidRequest, match="KeyFile"):
            pickle.dumps(thing)
    with pytest.raises(dpp.InvalidRequest, match="KeyFile"):
        copy.deepcopy(table)
    file = pickle.dumps(dpp.Table(tmp_path, decryption=dpp.KeyFile(key_file(tmp_path))))
    for key in MASTERS.values():
        assert b64encode(key) not in file and key not in file
    assert repr(pickle.loads(file)._keys) == f"dpp.KeyFile({str(tmp_path / 'keys.json')!r})"


def test_key_files_are_private_and_errors_quote_nothing(tmp_path):
    file = key_file(tmp_path)
    file.chmod(0o640)
    with pytest.raises(dpp.InvalidRequest, match="chmod 600"):
        dpp.Table(tmp_path, decryption=dpp.KeyFile(file))
    with pytest.raises(dpp.InvalidRequest, match="keys.json") as raised:
        file.write_text('{"keys": {"footer": "hunter2"}}')
        dpp.Table(tmp_path, decryption=dpp.KeyFile(file))
    assert "hunter2" not in str(raised.value)
    for wrong in ({"k": 17}, {"k": b"short"}, {"k": [17]}, ["k"], {"k": "hunter2"}):
        with pytest.raises(dpp.InvalidRequest) as raised:
            dpp.Keys(wrong)
        assert "hunter2" not in str(raised.value) and "short" not in str(raised.value)
    with pytest.raises(dpp.InvalidRequest, match="KeyFile"):
        dpp.Table(tmp_path, decryption={"k": b"hunter2"})
    with pytest.raises(dpp.InvalidRequest, match="NO_SUCH"):
        dpp.Table(tmp_path, decryption=dpp.EnvironmentKeys("NO_SUCH"))


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_torch_workers_get_their_keys(tmp_path, start):
    """By the place of the keys; keys in memory go along when a process is forked, and nowhere else."""
    from torch.utils.data import DataLoader

    (tmp_path / "table").mkdir()
    encrypted_table.write(tmp_path / "table" / "part.parquet")
    places = [dpp.KeyFile(key_file(tmp_path))] + ([dpp.Keys(MASTERS)] if start == "fork" else [])
    for keys in places:
        loader = load(dpp.Table(tmp_path / "table", decryption=keys), output="torch")
        rows = sum(batch.num_rows for batch in loader)
        children = DataLoader(loader, batch_size=None, num_workers=2, multiprocessing_context=start, timeout=60)
        assert sum(len(batch.dense) for batch in children) == rows == TABLE.num_rows
    if start == "spawn":
        children = DataLoader(
            load(dpp.Table(tmp_path / "table", decryption=dpp.Keys(MASTERS)), output="torch"),
            batch_size=None,
            num_workers=1,
            multiprocessing_context=start,
        )
        with pytest.raises(dpp.InvalidRequest, match="KeyFile"):
            iter(children)


def test_names_of_map_features_travel_with_the_table(tmp_path, processes):
    pq.write_table(TABLE, tmp_path / "part.parquet")
    table = dpp.Table(tmp_path, feature_names={"m[age]": "age"})
    assert {"age", "m[height]"} <= {feature.name for feature in table.features}
    plan = dpp.Plan(dense=dpp.col("age").fill_null(0))
    local = dpp.DataLoader(table, plan, batch_size=64, output="numpy")
    remote = dpp.DataLoader(table, plan, batch_size=64, output="numpy", service=processes.worker().address)
    assert [batch.fingerprint() for batch in local] == [batch.fingerprint() for batch in remote]
    with pytest.raises(dpp.InvalidRequest, match="age"):
        dpp.Table(tmp_path, feature_names={"age": "years"})


def test_workers_hold_keys_of_their_own(tmp_path, processes):
    (tmp_path / "table").mkdir()
    encrypted_table.write(tmp_path / "table" / "part.parquet")
    keys = key_file(tmp_path)
    local = load(dpp.Table(tmp_path / "table", decryption=dpp.KeyFile(keys)))
    worker = processes.worker("--keys", str(keys))
    remote = load(tmp_path / "table", service=worker.address)
    assert [batch.fingerprint() for batch in local] == [batch.fingerprint() for batch in remote]
    with pytest.raises(dpp.InvalidRequest, match="dpp-worker --keys"):
        load(dpp.Table(tmp_path / "table", decryption=dpp.KeyFile(keys)), service=worker.address)
    with pytest.raises(dpp.PermissionDenied, match="encrypted"):
        load(tmp_path / "table", service=processes.worker().address)
