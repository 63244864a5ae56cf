"""Key services: pyarrow writes with their master keys, dpp reads, on-box and from workers, and asks for little."""

from __future__ import annotations

import json
import subprocess
from base64 import b64decode, b64encode
from urllib.request import Request, urlopen

import pyarrow.parquet.encryption as pe
import pytest

import dpp
import encrypted_table
import key_services
from encrypted_table import MASTERS, PLAN
from key_services import SECRET, TOKEN
from processes import COMMAND

PROJECTED = dpp.Plan(dense=dpp.col("price").fill_null(0), labels=dpp.col("label"))
"""Of four master keys, these features need the footer's and the price's."""


@pytest.fixture
def vault(monkeypatch):
    service = key_services.vault(dict(MASTERS))
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    yield service
    service.end()


@pytest.fixture
def kms(monkeypatch):
    service = key_services.aws_kms(dict(MASTERS))
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", service.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    yield service
    service.end()


class TransitClient(pe.KmsClient):
    """As pyarrow's users write one for Vault."""

    def __init__(self, url: str) -> None:
        pe.KmsClient.__init__(self)
        self.url = url

    def wrap_key(self, key: bytes, master: str) -> str:
        body = json.dumps({"plaintext": b64encode(key).decode()}).encode()
        request = Request(f"{self.url}/v1/transit/encrypt/{master}", body, {"X-Vault-Token": TOKEN})
        return json.load(urlopen(request, timeout=10))["data"]["ciphertext"]

    def unwrap_key(self, wrapped: str, master: str) -> bytes:
        raise NotImplementedError


class KmsClient(pe.KmsClient):
    """As pyarrow's users write one for AWS, which gives bytes."""

    def __init__(self, service: key_services.KeyService) -> None:
        pe.KmsClient.__init__(self)
        self.service = service

    def wrap_key(self, key: bytes, master: str) -> str:
        return b64encode(self.service.wrap(master, key)).decode()

    def unwrap_key(self, wrapped: str, master: str) -> bytes:
        return self.service.unwrap(master, b64decode(wrapped))


def load(table, plan=PLAN, **settings) -> dpp.DataLoader:
    return dpp.DataLoader(table, plan, **({"batch_size": 64, "output": "numpy"} | settings))


def prints(loader: dpp.DataLoader) -> list[int]:
    return [batch.fingerprint() for batch in loader]


@pytest.mark.parametrize("double_wrapping", [False, True])
def test_vault_unwraps(vault, tmp_path, double_wrapping):
    encrypted_table.write(tmp_path / "part.parquet", TransitClient(vault.url), double_wrapping=double_wrapping)
    encrypted_table.check(load(dpp.Table(tmp_path, decryption=dpp.Vault(vault.url))))


@pytest.mark.parametrize("double_wrapping", [False, True])
def test_aws_kms_unwraps_what_is_signed(kms, tmp_path, monkeypatch, double_wrapping):
    encrypted_table.write(tmp_path / "part.parquet", KmsClient(kms), double_wrapping=double_wrapping)
    encrypted_table.check(load(dpp.Table(tmp_path, decryption=dpp.AwsKms("eu-west-1"))))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(dpp.PermissionDenied, match="IncompleteSignature"):
        load(dpp.Table(tmp_path, decryption=dpp.AwsKms("eu-west-1")))


def test_workers_ask_for_projected_keys_only_and_give_the_same_bytes(vault, tmp_path, processes):
    for part in range(3):
        path = tmp_path / f"part-{part}.parquet"
        encrypted_table.write(path, TransitClient(vault.url), maps=False, double_wrapping=False)
    worker = processes.worker("--keys", f"vault:{vault.url}/transit")
    vault.asked.clear()
    remote = prints(load(tmp_path, PROJECTED, service=worker.address))
    assert sorted(vault.asked) == ["footer"] * 3 + ["price"] * 3, "a key per file and column that is read, once"
    vault.asked.clear()
    assert prints(load(tmp_path, PROJECTED, service=worker.address)) == remote
    assert vault.asked == [], "another job of the same worker asks for nothing again"
    local = load(dpp.Table(tmp_path, decryption=dpp.Vault(vault.url)), PROJECTED)
    assert prints(local) == remote and prints(local) == remote
    assert sorted(vault.asked) == ["footer"] * 3 + ["price"] * 3


def test_what_maps_hold_is_asked_when_they_are_described(vault, tmp_path):
    """Their keys are features, and those who may not read them see the other features all the same."""
    encrypted_table.write(tmp_path / "part.parquet", TransitClient(vault.url))
    vault.asked.clear()
    prints(load(dpp.Table(tmp_path, decryption=dpp.Vault(vault.url)), PROJECTED))
    assert sorted(vault.asked) == ["footer", "map", "price"]
    del vault.masters["map"]
    table = dpp.Table(tmp_path, decryption=dpp.Vault(vault.url))
    assert [feature.name for feature in table.features] == ["ids", "label", "plain", "price"]
    assert len(prints(load(table, PROJECTED))) == 5


def test_faults_are_no_missing_rights(vault, tmp_path, monkeypatch):
    encrypted_table.write(tmp_path / "part.parquet", TransitClient(vault.url))
    table = dpp.Table(tmp_path, decryption=dpp.Vault(vault.url))
    loader = load(table, PROJECTED)
    vault.fault = 503, {"errors": ["Vault is sealed"]}
    with pytest.raises(dpp.Unavailable, match='column price.*key service.*"price".*503'):
        prints(loader)
    vault.fault = 403, {"errors": ["1 error occurred: permission denied"]}
    with pytest.raises(dpp.PermissionDenied, match='column price.*access to key "price" is denied') as raised:
        prints(loader)
    assert TOKEN not in str(raised.value)
    vault.fault = None
    assert len(prints(loader)) == 5
    monkeypatch.setenv("VAULT_TOKEN", "another")
    with pytest.raises(dpp.PermissionDenied, match='footer.*"footer".*denied'):
        load(dpp.Table(tmp_path, decryption=dpp.Vault(vault.url)), PROJECTED)
    unreachable = dpp.Vault("http://127.0.0.1:1")
    with pytest.raises(dpp.Unavailable, match="footer"):
        load(dpp.Table(tmp_path, decryption=unreachable), PROJECTED)


def test_tokens_come_from_files_that_change(vault, tmp_path, monkeypatch):
    encrypted_table.write(tmp_path / "part.parquet", TransitClient(vault.url))
    monkeypatch.delenv("VAULT_TOKEN")
    token = tmp_path.parent / f"{tmp_path.name}.token"
    token.write_text("old\n")
    table = dpp.Table(tmp_path, decryption=dpp.Vault(vault.url, token_file=token))
    with pytest.raises(dpp.PermissionDenied):
        load(table, PROJECTED)
    token.write_text(TOKEN + "\n")
    assert len(prints(load(table, PROJECTED))) == 5


def test_places_show_no_secret(monkeypatch):
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    assert repr(dpp.Vault("https://vault:8200", mount="ads/transit")) == "dpp.Vault('https://vault:8200/ads/transit')"
    assert repr(dpp.AwsKms("eu-west-1", aad_prefix="a&b")) == "dpp.AwsKms('eu-west-1')"
    with pytest.raises(dpp.InvalidRequest, match="https"):
        dpp.Table("/nowhere", decryption=dpp.Vault("http://vault:8200"))
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with pytest.raises(dpp.InvalidRequest, match="AWS_REGION"):
        dpp.Table("/nowhere", decryption=dpp.AwsKms())


def inspected(path, *options: str) -> dict:
    done = subprocess.run([str(COMMAND), "table", "inspect", str(path), "--json", *options], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return {feature["name"]: feature.get("key") for feature in json.loads(done.stdout)["features"]}


@pytest.mark.parametrize("service", ["vault", "kms"])
def test_rewrite_has_its_keys_wrapped_there(service, tmp_path, request):
    """Which key is whose says a file without keys; inspect shows it, with the right to unwrap."""
    server = request.getfixturevalue(service)
    place = f"vault:{server.url}/transit" if service == "vault" else "aws-kms:eu-west-1"
    table = dpp.write_table(encrypted_table.TABLE, tmp_path / "plain")
    says = tmp_path / "says.json"
    says.write_text(json.dumps({"footer": "footer", "columns": {"price": "price", "m": "map"}}))
    command = [str(COMMAND), "table", "rewrite", table.url, str(tmp_path / "locked"), "--layout", "stored"]
    command += ["--encrypt", str(says), "--encrypt-keys", place]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    provider = dpp.Vault(server.url) if service == "vault" else dpp.AwsKms("eu-west-1")
    encrypted_table.check(load(dpp.Table(tmp_path / "locked", decryption=provider)))
    keys = inspected(tmp_path / "locked", "--keys", place)
    assert keys == {"label": None, "price": "own", "ids": None, "m[age]": "own", "m[height]": "own", "plain": None}
