"""Who gives the keys of encrypted tables. On-box that is this process; with a service, workers have keys of their own.

Parquet modular encryption, as Spark and pyarrow write it: a file names the master key that wrapped its keys, and these
classes say who unwraps them. None of them shows a key, or goes into a job. Only keys of features that are read are asked
for.

    dpp.KeyFile("keys.json")          a file of keys
    dpp.EnvironmentKeys("ADS_KEYS")   the same in an environment variable
    dpp.Keys({"kf": b"…"})            keys of this program
    dpp.Vault("https://vault:8200")   master keys in HashiCorp Vault
    dpp.AwsKms("eu-west-1")           master keys in AWS KMS
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence

from dpp import _dpp
from dpp.errors import InvalidRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    Key = bytes | str


class KeyProvider:
    """What `dpp.Table(decryption=…)` takes. Copies and pickles name the place of the keys, never the keys."""

    __slots__ = ("_handle", "_shown")

    def __init__(self, place: str, shown: str) -> None:
        self._shown = shown
        self._handle = _dpp.Keys.at(place)

    def __repr__(self) -> str:
        return f"dpp.{self._shown}"

    def __reduce__(self) -> Any:
        return _again, (type(self), self._handle.place(), self._shown)


class KeyFile(KeyProvider):
    """Keys in a JSON file that only its owner may read (`chmod 600`).

    {"keys": {"kf": "base64 of 16, 24 or 32 bytes", "kc": ["the old version", "the new one"]},
     "footer": "kf", "columns": {"price": "kc"}, "aad_prefix": "clicks"}

    Only `keys` is needed; `footer` and `columns` say which key is whose in files that do not say it, and in files that
    are written; `aad_prefix` is what all files must have been written with.
    """

    __slots__ = ()

    def __init__(self, path: str | os.PathLike[str]) -> None:
        absolute = os.path.abspath(os.fsdecode(path))
        super().__init__(f"file:{absolute}", f"KeyFile({absolute!r})")


class EnvironmentKeys(KeyProvider):
    """What a key file holds, in an environment variable."""

    __slots__ = ()

    def __init__(self, variable: str) -> None:
        super().__init__(f"env:{variable}", f"EnvironmentKeys({variable!r})")


class Vault(KeyProvider):
    """Master keys in the transit engine of HashiCorp Vault, which unwraps and never hands them out.

    url, mount   of the server, as https://vault:8200, and of its transit engine
    namespace    Vault's; by default VAULT_NAMESPACE
    token_file   a file with the token, read whenever it is needed; by default the token is VAULT_TOKEN, or in ~/.vault-token
    aad_prefix   what all files must have been written with

    VAULT_CACERT names certificates to trust beside the system's. A service that is down raises `Unavailable` after some
    seconds of trying, missing rights raise `PermissionDenied`.
    """

    __slots__ = ()

    def __init__(
        self,
        url: str,
        *,
        mount: str = "transit",
        namespace: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        aad_prefix: str | None = None,
    ) -> None:
        file = None if token_file is None else os.path.abspath(os.fsdecode(token_file))
        place = f"{str(url).rstrip('/')}/{mount.strip('/')}"
        options = _options(namespace=namespace, token_file=file, aad_prefix=aad_prefix)
        super().__init__(f"vault:{place}{options}", f"Vault({place!r})")


class AwsKms(KeyProvider):
    """Master keys in AWS KMS, which unwraps and never hands them out. Files hold its ciphertexts in base64.

    region      by default AWS_REGION or AWS_DEFAULT_REGION; AWS_ENDPOINT_URL_KMS replaces its address
    aad_prefix  what all files must have been written with

    Credentials are found as for S3: environment, web identity, container or instance.
    """

    __slots__ = ()

    def __init__(self, region: str | None = None, *, aad_prefix: str | None = None) -> None:
        shown = "AwsKms()" if region is None else f"AwsKms({region!r})"
        super().__init__(f"aws-kms:{region or ''}{_options(aad_prefix=aad_prefix)}", shown)


class Keys(KeyProvider):
    """Keys of this program: name → 16, 24 or 32 bytes, or base64 of them, or a list of versions with the newest last.

    footer, columns  which key is whose (column → name) in files that do not say it
    aad_prefix       what all files must have been written with

    They go along when a torch worker process is forked, and refuse to be pickled: what is spawned needs a `KeyFile` or
    another place to get them from.
    """

    __slots__ = ()

    def __init__(
        self,
        keys: Mapping[str, Key | Sequence[Key]],
        *,
        footer: str | None = None,
        columns: Mapping[str, str] | None = None,
        aad_prefix: str | None = None,
    ) -> None:
        if not isinstance(keys, Mapping):
            raise InvalidRequest(f"Keys takes a mapping of names to keys, not a {type(keys).__name__}")
        ring = {
            "keys": {str(name): _versions(str(name), key) for name, key in keys.items()},
            "footer": footer,
            "columns": dict(columns or {}),
            "aad_prefix": aad_prefix,
        }
        self._handle = _dpp.Keys.from_json(json.dumps(ring))
        self._shown = f"Keys({', '.join(sorted(ring['keys']))})"

    def __reduce__(self) -> NoReturn:
        raise InvalidRequest(
            "keys in memory are not pickled, so that they end up in no file and no message: give dpp.KeyFile or another place "
            "of keys, or start torch's worker processes by fork"
        )


class Encryption:
    """How files are encrypted that dpp writes: who wraps their keys, and which master key is whose.

    keys     dpp.KeyFile, dpp.Keys, dpp.Vault or dpp.AwsKms
    footer   name of the footer's master key; without `columns`, it is everyone's
    columns  column → name of its master key; the others then stay readable. A column's name means all of its leaves
    aad_prefix             says which table this is; readers can insist on it
    plaintext_footer       leave schema and counts readable, and signed
    double_wrapping        ask the key service once a master key, not once a column of every file
    internal_key_material  keep wrapped keys in the file, or in `_KEY_MATERIAL_FOR_<file>.json` beside it
    store_aad_prefix       keep the prefix in the file; otherwise readers must know it
    data_key_bits          128 or 256
    """

    __slots__ = ("_keys", "_says")

    def __init__(
        self,
        keys: KeyProvider,
        *,
        footer: str,
        columns: Mapping[str, str] | None = None,
        aad_prefix: str | None = None,
        plaintext_footer: bool = False,
        double_wrapping: bool = True,
        internal_key_material: bool = True,
        store_aad_prefix: bool = True,
        data_key_bits: int = 128,
    ) -> None:
        if not isinstance(keys, KeyProvider):
            raise InvalidRequest(f"keys are dpp.KeyFile(…) or another place of keys, not a {type(keys).__name__}")
        self._keys = keys
        style = {
            "plaintext_footer": plaintext_footer,
            "double_wrapping": double_wrapping,
            "internal_key_material": internal_key_material,
            "store_aad_prefix": store_aad_prefix,
            "data_key_bits": data_key_bits,
        }
        says = {"footer": footer, "columns": dict(columns or {}), "aad_prefix": aad_prefix, "encrypt": style}
        self._says = json.dumps(says)

    def __repr__(self) -> str:
        return f"dpp.Encryption({self._keys!r}, footer={json.loads(self._says)['footer']!r})"


def _again(cls: type[KeyProvider], place: str, shown: str) -> KeyProvider:
    copy = cls.__new__(cls)
    KeyProvider.__init__(copy, place, shown)
    return copy


def _options(**options: str | None) -> str:
    from urllib.parse import urlencode

    given = urlencode({name: value for name, value in options.items() if value is not None})
    return f"?{given}" if given else ""


def _versions(name: str, key: Any) -> list[str]:
    versions = [key] if isinstance(key, (bytes, bytearray, str)) else key
    if not isinstance(versions, Sequence) or not all(isinstance(one, (bytes, bytearray, str)) for one in versions):
        raise InvalidRequest(f"key {name!r} is bytes, base64 or a list of them")
    return [one if isinstance(one, str) else _base64(one) for one in versions]


def _base64(key: bytes | bytearray) -> str:
    from base64 import b64encode

    return b64encode(key).decode()
