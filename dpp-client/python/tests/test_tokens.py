"""dpp.Service: a token or certificates of the caller's own, never shown."""

from __future__ import annotations

import copy
import pickle
import subprocess
from pathlib import Path

import pytest

import dpp
from processes import COMMAND

PLAN = dpp.Plan(dense=dpp.col("I1"), labels=dpp.col("label"))


def issue(at: Path, table: str, key: str = "key") -> str:
    """A token for `table`, signed by the key of that name, which is made if there is none."""
    if not (at / key).exists():
        subprocess.run([COMMAND, "fleet", "key", at / key], check=True)
    wishes = ["--name", "test", "--role", "trainer", "--table", table, "--column", "*"]
    return subprocess.run(
        [COMMAND, "fleet", "token", "--key", at / key, *wishes], check=True, capture_output=True, text=True
    ).stdout.strip()


def load(small, service) -> dpp.DataLoader:
    return dpp.DataLoader(small.url, PLAN, batch_size=10, output="numpy", service=service)


def prints(loader: dpp.DataLoader) -> list[int]:
    return [batch.fingerprint() for batch in loader]


@pytest.fixture
def guarded(small, tmp_path, processes):
    """A worker that asks for tokens, and a token that opens the small table."""
    token = issue(tmp_path, small.url)
    return processes.worker("--token-keys", str(tmp_path / "key.pub")), token


def shows(thing: object, secret: str) -> bool:
    return secret in repr(thing) or secret in str(thing)


def test_a_token_opens_what_it_claims_and_is_never_shown(small, tmp_path, guarded):
    worker, token = guarded
    expected = prints(dpp.DataLoader(small.url, PLAN, batch_size=10, output="numpy"))
    service = dpp.Service(worker.address, token=token)
    loader = load(small, service)
    assert prints(loader) == expected
    with pytest.raises(dpp.PermissionDenied, match="asks for a token"):
        load(small, worker.address)
    signature = token.rsplit(".", 1)[1]
    assert not shows(service, signature) and not shows(loader, signature)
    assert worker.address in repr(loader)
    for other in (issue(tmp_path, "/elsewhere"), issue(tmp_path, small.url, "another")):
        with pytest.raises(dpp.PermissionDenied) as refused:
            load(small, dpp.Service(worker.address, token=other))
        assert not shows(refused.value, other.rsplit(".", 1)[1])


def test_a_token_in_a_file_travels_by_its_name(small, tmp_path, guarded, monkeypatch):
    worker, token = guarded
    file = tmp_path / "token"
    file.write_text(token + "\n")
    service = dpp.Service(worker.address, token_file=file)
    expected = prints(load(small, service))
    pickled = pickle.dumps(load(small, service))
    assert token.encode() not in pickled and prints(pickle.loads(pickled)) == expected
    monkeypatch.setenv("DPP_TOKEN_FILE", str(file))
    assert prints(load(small, worker.address)) == expected
    assert prints(load(small, dpp.Service(worker.address))) == expected
    with pytest.raises(dpp.PermissionDenied):
        load(small, dpp.Service(worker.address, token="dpp1.a.b"))


def test_a_token_in_memory_is_not_pickled(guarded):
    worker, token = guarded
    service = dpp.Service(worker.address, token=token)
    for pickling in (pickle.dumps, copy.deepcopy):
        with pytest.raises(dpp.InvalidRequest, match="token_file") as refused:
            pickling(service)
        assert not shows(refused.value, token)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"token": "two words"}, "what was given as a token is none"),
        ({"token": " "}, "what was given as a token is none"),
        ({"token": b"dpp1.a.b"}, "not a bytes"),
        ({"token": "dpp1.a.b", "token_file": "token"}, "one of the two"),
        ({"tls": {"ca": "a", "certificate": "b"}}, "'certificate'"),
    ],
)
def test_what_makes_no_sense_is_said_and_not_repeated(settings, says):
    with pytest.raises(dpp.InvalidRequest, match=says) as refused:
        dpp.Service("127.0.0.1:1", **settings)
    for secret in ("two words", "dpp1.a.b"):
        assert not shows(refused.value, secret)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"token_file": "/no/such/token"}, "/no/such/token"),
        ({"tls": "/no/such/ca.pem"}, "/no/such/ca.pem"),
        ({"tls": {"ca": __file__, "cert": __file__}}, "go together"),
    ],
)
def test_files_that_are_not_there_are_named_when_the_loader_opens(small, settings, says):
    with pytest.raises(dpp.InvalidRequest, match=says):
        load(small, dpp.Service("127.0.0.1:1", **settings))


def test_a_token_goes_to_no_other_machine_in_plain_text(small):
    with pytest.raises(dpp.InvalidRequest, match="plain text") as refused:
        load(small, dpp.Service("192.0.2.1:7400", token="dpp1.abcdef.ghijkl"))
    assert not shows(refused.value, "ghijkl")
