"""
The lines of a file that `htpasswd` writes: what counts, what does not, and why.

libpass knows the hashes, but for ``{PLAIN}``, which only nginx knows.
"""

from __future__ import annotations

import hmac
import logging
import re
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from passlib.context import CryptContext  # type: ignore[import-untyped]

from regbroker.accounts.line_numbers import lines
from regbroker.runtime.utf16 import refuse_utf16
from regbroker.runtime.watched_file import read_file

#: Reading stops the reactor, about 15 us for each line: this is 0.7 s for
#: 50,000 users with bcrypt.
MAX_FILE_BYTES = 4 * 1024 * 1024

#: What `htpasswd` and nginx know, and what crypt(3) reads besides. Not `plaintext`,
#: which is in libpass's own context for such files.
_CONTEXT = CryptContext(
    "bcrypt, apr_md5_crypt, ldap_sha1, ldap_salted_sha1, sha512_crypt, sha256_crypt, "
    "md5_crypt, des_crypt"
)

_PLAIN = "{PLAIN}"

#: What a faulty program once made, and crypt_blowfish has marked since. libpass knows
#: it as bcrypt, and calls it damaged.
_FAULTY_BCRYPT = "$2x$"

#: What else stands in such files, by how it begins.
_FOREIGN = (
    (re.compile(r"\$y\$|\$gy\$"), "a yescrypt hash"),
    (re.compile(r"\$7\$|\$scrypt\$|\{SCRYPT\}"), "a scrypt hash"),
    (re.compile(r"\$argon2|\{ARGON2\}", re.IGNORECASE), "an Argon2 hash"),
    (re.compile(r"\$pbkdf2|\{PBKDF2", re.IGNORECASE), "a PBKDF2 hash"),
    (re.compile(r"\$sha1\$"), "a sha1crypt hash"),
    (re.compile(r"\{(?P<scheme>[A-Za-z0-9-]{1,20})\}"), "a {%s} hash"),
    (re.compile(r"\$(?P<scheme>[A-Za-z0-9-]{1,20})\$"), "a $%s$ hash"),
    (re.compile(r"[!*x]|$"), "a locked account"),
    (re.compile(r"[^:]+:[0-9a-f]{32}\s*$"), "a line that htdigest has written"),
)
_NO_HASH = "the password itself, or an unknown hash"

#: What can be guessed, once somebody has read the file.
_WEAK = {
    "plain": "the password itself",
    "ldap_sha1": "SHA-1 without salt, which is guessed fast",
    "ldap_salted_sha1": "salted SHA-1, which is guessed fast",
    "des_crypt": "DES crypt, which counts 8 characters of a password",
    "md5_crypt": "MD5 crypt, which is guessed fast",
}


def _is_worth_telling(record: logging.LogRecord) -> bool:
    """Tell whether passlib's word is about more than how bcrypt says its version."""
    return "error reading bcrypt version" not in str(record.msg)


# passlib 1.7, which ldaptor brings, looks for a version where bcrypt has none since
# 4.1, and logs a traceback before it goes on.
logging.getLogger("passlib.handlers.bcrypt").addFilter(_is_worth_telling)


def get_ready() -> None:
    """Let libpass find its bcrypt, before threads race for that."""
    _CONTEXT.handler("bcrypt").get_backend()


@dataclass(frozen=True)
class StoredHash:
    """
    The hash of a password, and what checking it costs.

    Those of one `kind`, the scheme with its rounds if any, take the same time.
    """

    text: str = field(repr=False)
    kind: str

    @classmethod
    def parse(cls, text: str) -> StoredHash | None:
        """
        Return the hash; None for what is none, as plain text.

        Raises `ValueError` for a damaged one.
        """
        if text.startswith(_PLAIN):
            return cls(text, "plain")
        scheme = _CONTEXT.identify(text)
        if scheme is None or text.startswith(_FAULTY_BCRYPT):
            return None
        parsed = _CONTEXT.handler(scheme).from_string(text)
        if not parsed.checksum:
            raise ValueError("cut off after the salt")
        return cls(text, f"{scheme} {getattr(parsed, 'rounds', '')}".strip())

    @property
    def weakness(self) -> str | None:
        """What makes the hash easy to guess; None for a good one."""
        return _WEAK.get(self.kind.partition(" ")[0])

    def matches(self, password: bytes) -> bool:
        """Whether it is the password's. Takes its time: not for the reactor."""
        if self.kind == "plain":
            stored = self.text.removeprefix(_PLAIN).encode("utf-8", "surrogatepass")
            return hmac.compare_digest(stored, password)
        scheme = _CONTEXT.handler(self.kind.partition(" ")[0])
        # bcrypt sees 72 bytes, and the bcrypt package refuses to be given more.
        right: bool = scheme.verify(password[: scheme.truncate_size], self.text)
        return right


@dataclass(frozen=True)
class RefusedLine:
    """A line whose user can never log in: its number, and what stands there."""

    number: int
    kind: str


@dataclass(frozen=True)
class Contents:
    """
    What a file says: the hashes by user, and one specimen of each kind.

    `refused` are the lines with something else than a hash that is known here.
    `repeated` are the numbers of lines about users who had a line before.
    """

    hashes: Mapping[str, StoredHash] = field(default_factory=dict)
    specimens: tuple[StoredHash, ...] = ()
    refused: tuple[RefusedLine, ...] = ()
    repeated: tuple[int, ...] = ()

    @property
    def refused_lines(self) -> tuple[int, ...]:
        """The numbers of the refused lines."""
        return tuple(line.number for line in self.refused)

    def check(self, stored: StoredHash | None, password: bytes) -> bool:
        """
        Whether the password is right; never for no stored hash.

        No costs one check of every kind in the file, whoever is asked for, so
        that time does not tell who is in it. Not for the reactor.
        """
        if stored is not None and stored.matches(password):
            return True
        for specimen in self.specimens:
            if stored is None or specimen.kind != stored.kind:
                specimen.matches(password)
        return False


class DamagedLines(ValueError):
    """
    Lines that cannot be understood.

    `damaged` are their numbers, and what is wrong with each.
    """

    def __init__(self, damaged: Sequence[tuple[int, str]]) -> None:
        self.damaged = tuple(damaged)
        numbers = [number for number, _ in damaged]
        super().__init__(f"{lines(numbers)} cannot be understood")


def parse(data: bytes) -> Contents:
    """
    Return what a file says.

    Lines are ``user:hash``, with ``:comment`` behind as nginx has it. A user's
    first line counts, as in Apache. Raises `DamagedLines`, and tells nothing of them;
    `ValueError` for UTF-16.
    """
    refuse_utf16(data)
    hashes: dict[str, StoredHash | None] = {}
    refused: list[RefusedLine] = []
    repeated: list[int] = []
    damaged: list[tuple[int, str]] = []
    # Editors of Windows write a byte order mark, which no user has in his name.
    for number, line in enumerate(data.removeprefix(BOM_UTF8).splitlines(), 1):
        line = line.strip()
        if not line or line.startswith(b"#"):
            continue
        try:
            user, rest = _split(line)
            text = rest.partition(b":")[0].decode("utf-8", "replace")
            stored = _parse_hash(text)
        except ValueError as error:
            damaged.append((number, str(error)))
            continue
        if stored is None:
            kind = kind_of(rest.decode("utf-8", "replace"))
            refused.append(RefusedLine(number, kind))
        if user in hashes:
            repeated.append(number)
        hashes.setdefault(user, stored)
    if damaged:
        raise DamagedLines(damaged)
    known = {user: stored for user, stored in hashes.items() if stored is not None}
    specimens = {stored.kind: stored for stored in known.values()}
    return Contents(known, tuple(specimens.values()), tuple(refused), tuple(repeated))


def _split(line: bytes) -> tuple[str, bytes]:
    """Return user and rest of a line; raises `ValueError`."""
    name, colon, rest = line.partition(b":")
    if not colon:
        raise ValueError("no colon between user and hash")
    if not name:
        raise ValueError("no user before the colon")
    try:
        return name.decode(), rest
    except UnicodeDecodeError:
        raise ValueError("the user's name is not UTF-8") from None


def _parse_hash(text: str) -> StoredHash | None:
    try:
        return StoredHash.parse(text)
    except ValueError:
        # What libpass says may quote the hash.
        raise ValueError("the hash is damaged, or cut off") from None


def kind_of(text: str) -> str:
    """Say what stands where a hash is missing, without quoting it."""
    for pattern, kind in _FOREIGN:
        match = pattern.match(text)
        if match is not None:
            return kind % match["scheme"] if "%s" in kind else kind
    return _NO_HASH


def read(path: Path) -> bytes:
    """Return what a file holds; raises `OSError`, and `ValueError` for no such file."""
    contents, _ = read_file(path, MAX_FILE_BYTES)
    return contents
