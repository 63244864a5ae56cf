"""Where workers are, and what this process shows them and asks of them."""

from __future__ import annotations

import os
from collections.abc import Mapping

from dpp import _dpp
from dpp.errors import InvalidRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    File = str | os.PathLike[str]


class Service:
    """What `dpp.DataLoader(service=…)` takes beside a plain address, where services ask callers who they are.

    url         "host:port,host:port", "unix:/path", "dns://name:port" or "fleet://host:port"
    token       a token as `dpp fleet token` prints it. It is never shown, and refuses to be pickled
    token_file  or a file that holds one, read again now and then, so that it can be replaced in time; by default DPP_TOKEN_FILE
    tls         a PEM file of the authority that services must show a certificate of, or, where they let in only callers with
                one, {"ca": file, "cert": file, "key": file}; with "name": text, the certificate is for that name whatever the
                address. By default DPP_TLS_CA, DPP_TLS_CERT, DPP_TLS_KEY and DPP_TLS_NAME
    """

    __slots__ = ("url", "_handle", "_holds_token", "_told")

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        token_file: File | None = None,
        tls: File | Mapping[str, File] | None = None,
    ) -> None:
        if not isinstance(url, str):
            raise InvalidRequest(f"{ADDRESS}, not {url!r}")
        if not (token is None or isinstance(token, str)):
            raise InvalidRequest(f"token is the text that `dpp fleet token` prints, not a {type(token).__name__}")
        if token is not None and token_file is not None:
            raise InvalidRequest("give token or token_file, one of the two")
        self.url = url
        self._told = {"token_file": _path(token_file), "tls": _tls(tls)}
        told = {f"tls_{name}": self._told["tls"].get(name) for name in TLS}
        self._handle = _dpp.Service(url, token, self._told["token_file"], **told)
        self._holds_token = token is not None

    def __repr__(self) -> str:
        return f"dpp.Service({self.url!r})"

    def __reduce__(self) -> Any:
        if self._holds_token:
            raise InvalidRequest(
                "a token in memory is not pickled, so that it ends up in no file and no message: give token_file, or start "
                "torch's worker processes by fork"
            )
        return _again, (self.url, self._told)


def _again(url: str, told: dict[str, Any]) -> Service:
    return Service(url, **told)


def _tls(tls: File | Mapping[str, File] | None) -> dict[str, str | None]:
    given = tls if isinstance(tls, Mapping) else {"ca": tls}
    unknown = sorted(set(given) - set(TLS))
    if unknown:
        raise InvalidRequest(f"tls is a PEM file or a mapping of {', '.join(TLS)}; {unknown[0]!r} is none of them")
    return {name: str(told) if name == "name" and told is not None else _path(told) for name, told in given.items()}


def _path(file: File | None) -> str | None:
    return None if file is None else os.path.abspath(os.fsdecode(file))


TLS = ("ca", "cert", "key", "name")
ADDRESS = 'service is "host:port,host:port", "unix:/path", "dns://name:port", "fleet://host:port", dpp.Service(…) or None'
