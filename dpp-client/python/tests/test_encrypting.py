"""What `dpp table rewrite --encrypt` writes, pyarrow's key management reads, in every mode; and nobody without keys."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest

import dpp
import encrypted_table
from encrypted_table import MASTERS, TABLE, Service, key_file
from processes import COMMAND

STYLES = [
    dict(zip(("uniform", "plaintext_footer", "double_wrapping", "internal_key_material"), flags))
    for flags in itertools.product([True, False], repeat=4)
]


def style_name(style: dict[str, bool]) -> str:
    return "-".join(name for name, chosen in style.items() if chosen) or "none"


def rewrite(folder: Path, *options: str, uniform: bool = False, aad_prefix: str | None = None, **style: object) -> Path:
    """The table, encrypted: `price` and the lists under keys of their own unless it is uniform. Returns its one file."""
    (folder / "plain").mkdir()
    pq.write_table(TABLE, folder / "plain" / "part.parquet", row_group_size=encrypted_table.ROWS_PER_GROUP)
    columns = {} if uniform else {"price": "price", "ids.list.element": "ids", "m": "map"}
    more = {"footer": "footer", "columns": columns, "encrypt": style}
    if aad_prefix is not None:
        more["aad_prefix"] = aad_prefix
    keys = key_file(folder, **more)
    command = [str(COMMAND), "table", "rewrite", str(folder / "plain"), str(folder / "locked"), "--encrypt", str(keys), *options]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    (path,) = (path for path in (folder / "locked").rglob("*.parquet"))
    return path


def check(found: pa.Table) -> None:
    for name in TABLE.column_names:
        assert found[name].to_pylist() == TABLE[name].to_pylist(), name


@pytest.mark.parametrize("style", STYLES, ids=style_name)
@pytest.mark.parametrize("bits", [128, 256])
def test_pyarrow_reads_it(tmp_path, style, bits):
    path = rewrite(tmp_path, "--layout", "stored", data_key_bits=bits, **style)
    service = Service()
    check(encrypted_table.read(path, service))
    masters = {"footer"} if style["uniform"] else set(MASTERS)
    assert {master if isinstance(master, str) else master.decode() for master in service.asked} == masters
    with pytest.raises(Exception, match="(?i)encrypt|decrypt|key"):
        pq.ParquetFile(path).read()
    keys = dpp.KeyFile(tmp_path / "keys.json")
    encrypted_table.check(
        dpp.DataLoader(dpp.Table(path.parent, decryption=keys), encrypted_table.PLAN, batch_size=64, output="numpy")
    )


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("plaintext_footer", [False, True])
def test_aad_prefixes(tmp_path, stored, plaintext_footer):
    """pyarrow's key management takes no prefix, so one that is not stored goes with the data key itself."""
    path = rewrite(
        tmp_path,
        "--layout",
        "stored",
        uniform=True,
        aad_prefix="clicks",
        store_aad_prefix=stored,
        plaintext_footer=plaintext_footer,
        double_wrapping=False,
        internal_key_material=False,
    )
    material = json.loads((path.parent / f"_KEY_MATERIAL_FOR_{path.name}.json").read_text())
    key = Service().unwrap_key(json.loads(material["footerKey"])["wrappedDEK"], "footer")
    check(pq.ParquetFile(path, decryption_properties=pe.create_decryption_properties(key, aad_prefix=b"clicks")).read())
    with pytest.raises(Exception, match="(?i)aad|decrypt|signature|verif"):
        properties = pe.create_decryption_properties(key, aad_prefix=b"views")
        pq.ParquetFile(path, decryption_properties=properties).read()
    if stored:
        check(encrypted_table.read(path))
