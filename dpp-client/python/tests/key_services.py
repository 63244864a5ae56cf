"""Vault's transit engine and AWS KMS as small servers of this process: master keys that unwrap, count, and may be down.

They answer as the services' documentation says. What they do not prove: that the services themselves answer so, that
policies grant what is asked, and that TLS is set up rightly. The KMS recomputes the signature of every request, by the
specification of AWS Signature Version 4.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from base64 import b64decode, b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import aes_gcm

TOKEN = "vault-token-hunter2"
SECRET = "aws-secret-hunter2"


class KeyService:
    """A server on loopback; `asked` names the master keys it was asked for, in order."""

    def __init__(self, masters: dict[str, bytes], answer) -> None:
        self.masters = masters
        self.asked: list[str] = []
        self.fault: tuple[int, dict] | None = None
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status, reply = service.fault or answer(service, self, body)
                text = json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def end(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wrap(self, master: str, key: bytes) -> bytes:
        return aes_gcm.seal(self.masters[master], key, master.encode())

    def unwrap(self, master: str, wrapped: bytes) -> bytes:
        self.asked.append(master)
        return aes_gcm.open_(self.masters[master], wrapped, master.encode())


def vault(masters: dict[str, bytes]) -> KeyService:
    return KeyService(masters, _transit)


def aws_kms(masters: dict[str, bytes]) -> KeyService:
    return KeyService(masters, _kms)


def _transit(service: KeyService, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict]:
    if request.headers["x-vault-token"] != TOKEN:
        return 403, {"errors": ["permission denied"]}
    _, version, mount, verb, master = request.path.split("/")
    assert (version, mount) == ("v1", "transit")
    master, asked = unquote(master), json.loads(body)
    if master not in service.masters:
        return 400, {"errors": ["encryption key not found"]}
    if verb == "encrypt":
        sealed = service.wrap(master, b64decode(asked["plaintext"]))
        return 200, {"data": {"ciphertext": "vault:v1:" + b64encode(sealed).decode()}}
    try:
        key = service.unwrap(master, b64decode(asked["ciphertext"].removeprefix("vault:v1:")))
    except ValueError:
        return 400, {"errors": ["cipher: message authentication failed"]}
    return 200, {"data": {"plaintext": b64encode(key).decode()}}


def _kms(service: KeyService, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict]:
    if not _is_signed(request, body):
        return 400, {"__type": "IncompleteSignatureException"}
    asked = json.loads(body)
    master = asked["KeyId"]
    if master not in service.masters:
        return 400, {"__type": "NotFoundException"}
    if request.headers["x-amz-target"] == "TrentService.Encrypt":
        return 200, {"CiphertextBlob": b64encode(service.wrap(master, b64decode(asked["Plaintext"]))).decode()}
    try:
        return 200, {"Plaintext": b64encode(service.unwrap(master, b64decode(asked["CiphertextBlob"]))).decode()}
    except ValueError:
        return 400, {"__type": "InvalidCiphertextException"}


def _is_signed(request: BaseHTTPRequestHandler, body: bytes) -> bool:
    scheme, _, fields = request.headers["authorization"].partition(" ")
    stated = dict(field.strip().split("=", 1) for field in fields.split(","))
    _, day, region, name, end = stated["Credential"].split("/")
    names = stated["SignedHeaders"].split(";")
    assert {"host", "x-amz-date", "x-amz-target", "content-type"} <= set(names)
    headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in names)
    content = hashlib.sha256(body).hexdigest()
    canonical = "\n".join(["POST", request.path, "", headers, stated["SignedHeaders"], content])
    scope = f"{day}/{region}/{name}/{end}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join([scheme, request.headers["x-amz-date"], scope, digest])
    key = f"AWS4{SECRET}".encode()
    for part in (day, region, name, end):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, text.encode(), "sha256").hexdigest() == stated["Signature"]
