"""The lines of an htpasswd file: what counts, what does not, and what checks cost."""

from __future__ import annotations

from base64 import b64encode
from codecs import BOM_UTF8
from hashlib import sha1
from typing import cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from regbroker.accounts.htpasswd_file import Contents, StoredHash, kind_of, parse
from tests.accounts.hashes import (
    APR1,
    BCRYPT,
    CRYPT,
    HASHES,
    MD5,
    SHA1,
    SHA512,
)


class ParseTests(SynchronousTestCase):
    """What a file says."""

    def test_byte_order_mark(self) -> None:
        """What editors write before the first line is no part of a name."""
        contents = parse(BOM_UTF8 + f"alice:{BCRYPT}\nbob:{SHA1}\n".encode())
        self.assertEqual(set(contents.hashes), {"alice", "bob"})

    def test_utf16(self) -> None:
        """What PowerShell's > writes is called so, and not line by line."""
        with self.assertRaisesRegex(ValueError, "^UTF-16 text; save it as UTF-8$"):
            parse(f"alice:{BCRYPT}\r\n".encode("utf-16"))

    def test_every_kind(self) -> None:
        """What htpasswd and crypt(3) write matches its password and no other."""
        for text in HASHES[:-1]:
            contents = parse(f"alice:{text}\n".encode())
            stored = contents.hashes["alice"]
            self.assertTrue(contents.check(stored, b"secret"), text)
            self.assertFalse(contents.check(stored, b"secreT"), text)
            self.assertFalse(contents.check(stored, b""), text)
            self.assertFalse(contents.check(None, b"secret"), text)

    def test_kinds(self) -> None:
        """A kind is a scheme and its rounds: what a check costs."""
        kinds = [cast(StoredHash, StoredHash.parse(text)).kind for text in HASHES]
        self.assertEqual(
            kinds,
            [
                "bcrypt 5",
                "apr_md5_crypt",
                "ldap_sha1",
                "des_crypt",
                "sha256_crypt 5000",
                "sha512_crypt 5000",
                "md5_crypt",
                "bcrypt 4",
            ],
        )

    def test_lines(self) -> None:
        """Comments, blank lines, white space, CR LF, a third field as in nginx."""
        contents = parse(
            f"# staff\r\n\r\n  alice:{BCRYPT}:on holiday: again\r\n"
            f"\tbärbel:{APR1}  \n #bob:{SHA1}\ncarol:{SHA1}".encode()
        )
        self.assertEqual(list(contents.hashes), ["alice", "bärbel", "carol"])
        self.assertEqual(contents.hashes["alice"].text, BCRYPT)
        self.assertEqual(contents.hashes["bärbel"].text, APR1)
        self.assertEqual(parse(b""), Contents())

    def test_first_line_counts(self) -> None:
        """Of a user's lines the first, be it one that never matches."""
        contents = parse(f"a:{BCRYPT}\na:{APR1}\nb:!\nb:{APR1}".encode())
        self.assertEqual(contents.hashes["a"].text, BCRYPT)
        self.assertEqual(list(contents.hashes), ["a"])

    def test_no_hash(self) -> None:
        """Plain text, locked users and foreign schemes never match, and are told."""
        contents = parse(
            f"a:secret\nb:\nc:!{BCRYPT}\nd:{{MD4}}secret\n"
            f"e:$y$j9T$x$y\nf:gehörtsich\ng:{BCRYPT}\n".encode()
        )
        self.assertEqual(contents.refused_lines, (1, 2, 3, 4, 5, 6))
        self.assertEqual(list(contents.hashes), ["g"])

    def test_kinds_without_support(self) -> None:
        """What is no hash here is named by its kind, and never quoted."""
        for text, kind in (
            ("$y$j9T$x$y", "a yescrypt hash"),
            ("$7$C6..../....$x", "a scrypt hash"),
            ("$argon2id$v=19$m=65536", "an Argon2 hash"),
            ("{PBKDF2-SHA256}1000$a", "a PBKDF2 hash"),
            ("{SSHA512}AAAA", "a {SSHA512} hash"),
            ("{CRYPT}$6$a", "a {CRYPT} hash"),
            ("$md5$x", "a $md5$ hash"),
            (BCRYPT.replace("$2y$", "$2x$"), "a $2x$ hash"),
            ("", "a locked account"),
            ("!", "a locked account"),
            ("*", "a locked account"),
            ("staff:" + "0" * 32, "a line that htdigest has written"),
            ("hunter2", "the password itself, or an unknown hash"),
        ):
            self.assertEqual(kind_of(text), kind, text)
            (line,) = parse(f"a:{text}".encode()).refused
            self.assertEqual((line.number, line.kind), (1, kind))

    def test_as_in_nginx(self) -> None:
        """{PLAIN} is the password itself; {SSHA} is SHA-1 with a salt behind it."""
        # printf '%s' 'secretsalt' | openssl sha1 -binary, and the salt
        ssha = "{SSHA}" + b64encode(sha1(b"secretsalt").digest() + b"salt").decode()
        contents = parse(f"a:{{PLAIN}}secret\nb:{ssha}\nc:{{PLAIN}}:x\n".encode())
        for user in ("a", "b"):
            stored = contents.hashes[user]
            self.assertTrue(contents.check(stored, b"secret"), user)
            self.assertFalse(contents.check(stored, b"secreT"), user)
            self.assertFalse(contents.check(stored, b""), user)
        self.assertEqual(
            [contents.hashes[user].kind for user in ("a", "b")],
            ["plain", "ldap_salted_sha1"],
        )
        self.assertNotIn("secret", repr(contents))

    def test_weak(self) -> None:
        """What is guessed fast is told from what is not."""
        for text in (BCRYPT, SHA512, APR1):
            stored = StoredHash.parse(text)
            assert stored is not None
            self.assertIsNone(stored.weakness, text)
        for text in (SHA1, CRYPT, MD5, "{PLAIN}x"):
            stored = StoredHash.parse(text)
            assert stored is not None
            self.assertIsNotNone(stored.weakness, text)

    def test_repeated(self) -> None:
        """Lines about users who have one above are counted."""
        contents = parse(f"a:{BCRYPT}\nb:{BCRYPT}\na:{APR1}\na:!\n".encode())
        self.assertEqual(contents.repeated, (3, 4))

    def test_plain_text_that_looks_like_crypt(self) -> None:
        """13 letters may be a hash, and are taken as one."""
        contents = parse(b"alice:wonderland123")
        stored = contents.hashes["alice"]
        self.assertFalse(contents.check(stored, b"wonderland123"))

    def test_damaged(self) -> None:
        """Damaged lines are told by their numbers, and by nothing else."""
        for line in (
            b"alice",
            f":{BCRYPT}".encode(),
            b"b\xe4rbel:" + BCRYPT.encode(),
            f"alice:{BCRYPT[:-1]}".encode(),
            f"alice:{BCRYPT[:29]}".encode(),
            f"alice:{BCRYPT.replace('05', '99')}".encode(),
            f"alice:{APR1[:-5]}".encode(),
            f"alice:{SHA512[:-5]}".encode(),
            b"alice:$6$salt",
        ):
            with self.assertRaises(ValueError) as caught:
                parse(b"\n".join([f"a:{BCRYPT}".encode(), line, b"", line]))
            self.assertEqual(str(caught.exception), "lines 2, 4 cannot be understood")
        with self.assertRaises(ValueError) as caught:
            parse(b"x\n" * 11)
        self.assertIn("9, 10, ... cannot", str(caught.exception))

    @given(
        st.lists(
            st.one_of(
                st.binary(max_size=40),
                st.builds(
                    lambda text, at, new: f"u:{text[:at]}".encode() + new,
                    st.sampled_from(HASHES),
                    st.integers(0, 60),
                    st.binary(max_size=3),
                ),
            ),
            max_size=4,
        ).map(b"\n".join)
    )
    def test_anything(self, data: bytes) -> None:
        """Whatever the bytes, there are contents or an error that tells none."""
        try:
            contents = parse(data)
        except ValueError as error:
            self.assertRegex(str(error), r"^lines? \d+(, \d+)* cannot be understood$")
        else:
            for stored in contents.hashes.values():
                contents.check(stored, b"x")

    def test_hashes_are_not_shown(self) -> None:
        """What might end in a log shows no hash."""
        shown = repr(parse(f"alice:{BCRYPT}".encode()))
        self.assertIn("bcrypt 5", shown)
        self.assertNotIn(BCRYPT[8:], shown)

    def test_long_passwords(self) -> None:
        """bcrypt sees 72 bytes, as in htpasswd; crypt sees 8; others see all."""
        long = b"x" * 72
        stored = StoredHash.parse(
            "$2y$04$idsdu.800Mun7ZwzMqN2XuzPSPbYBRbuvTG1jQ5X2NEMaJ9eHbkce"
        )
        assert stored is not None
        self.assertTrue(stored.matches(long))
        self.assertTrue(stored.matches(long + b"y" * 1000))
        self.assertFalse(stored.matches(long[1:]))
        crypt = StoredHash.parse(CRYPT)
        assert crypt is not None
        self.assertFalse(crypt.matches(b"secret" + long))


class Counted:
    """A stored hash that counts its checks."""

    def __init__(self, kind: str, right: bool = False) -> None:
        self.kind = kind
        self.right = right
        self.checks = 0

    def matches(self, password: bytes) -> bool:
        self.checks += 1
        return self.right


class CostTests(SynchronousTestCase):
    """Time does not tell who is in the file."""

    def checks(self, stored: Counted | None) -> dict[str, int]:
        """How many hashes of each kind a check makes."""
        specimens = [Counted("bcrypt 5"), Counted("bcrypt 12"), Counted("ldap_sha1")]
        contents = Contents({}, cast("tuple[StoredHash, ...]", tuple(specimens)))
        contents.check(cast("StoredHash | None", stored), b"wrong")
        counts = {specimen.kind: specimen.checks for specimen in specimens}
        if stored is not None:
            counts[stored.kind] += stored.checks
        return counts

    def test_no_costs_the_same(self) -> None:
        """One hash of each kind, for unknown users and for wrong passwords."""
        unknown = self.checks(None)
        self.assertEqual(unknown, {"bcrypt 5": 1, "bcrypt 12": 1, "ldap_sha1": 1})
        for kind in unknown:
            self.assertEqual(self.checks(Counted(kind)), unknown)

    def test_yes_costs_one(self) -> None:
        """The right password costs its own hash."""
        checks = self.checks(Counted("ldap_sha1", right=True))
        self.assertEqual(checks, {"bcrypt 5": 0, "bcrypt 12": 0, "ldap_sha1": 1})

    def test_specimens(self) -> None:
        """A file has one specimen for each kind."""
        contents = parse("".join(f"u{n}:{h}\n" for n, h in enumerate(HASHES)).encode())
        again = parse("".join(f"u{n}:{BCRYPT}\n" for n in range(9)).encode())
        self.assertEqual(len(contents.specimens), len(HASHES))
        self.assertEqual([one.kind for one in again.specimens], ["bcrypt 5"])
