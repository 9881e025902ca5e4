"""Debian's `slapd` as the directory, filled with a few people and groups."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from pathlib import Path

from .certificates import Authority
from .processes import (
    Daemon,
    base_environment,
    poll,
    require_programs,
    run,
    search_path,
)

SUFFIX = "dc=example,dc=com"
PEOPLE = f"ou=people,{SUFFIX}"
GROUPS = f"ou=groups,{SUFFIX}"
ROOT = f"cn=root,{SUFFIX}"
ROOT_PASSWORD = "the root's secret"
READER = f"cn=reader,{SUFFIX}"
READER_PASSWORD = "the reader's secret"

ALICE = f"uid=alice,{PEOPLE}"
BOB = f"uid=bob,{PEOPLE}"
WEIRD = r"we(ir)d*user\,"
WEIRD_DN = rf"uid=we(ir)d*user\5C\,,{PEOPLE}"

PASSWORDS = {
    "alice": "alice's secret",
    "bob": "bob's sécret",
    WEIRD: r"*)(uid=*\2a",
    "guest": "guest's secret",
}

CONFIGURATION = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
pidfile {directory}/slapd.pid
argsfile {directory}/slapd.args
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload ppolicy
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
TLSCACertificateFile {root_certificate}
{security}

database mdb
suffix "{suffix}"
rootdn "{root}"
rootpw "{root_password}"
directory {directory}/data
maxsize 16777216
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="{groups}" by dn.exact="{reader}" read by * none
access to * by * read
overlay memberof
{overlay}
"""

ENTRIES = f"""\
dn: {SUFFIX}
objectClass: dcObject
objectClass: organization
dc: example
o: example

dn: {READER}
objectClass: applicationProcess
objectClass: simpleSecurityObject
cn: reader
userPassword: {READER_PASSWORD}

dn: {PEOPLE}
objectClass: organizationalUnit
ou: people

dn: {GROUPS}
objectClass: organizationalUnit
ou: groups

dn: {ALICE}
objectClass: inetOrgPerson
objectClass: posixAccount
cn: Alice
sn: Liddell
mail: shared@example.com
uid: alice
uidNumber: 1001
gidNumber: 1001
homeDirectory: /home/alice
userPassword: {PASSWORDS["alice"]}

dn: {BOB}
objectClass: inetOrgPerson
objectClass: posixAccount
cn: Bob
sn: Builder
mail: shared@example.com
uid: bob
uidNumber: 1002
gidNumber: 1002
homeDirectory: /home/bob
userPassword: {PASSWORDS["bob"]}

dn: {WEIRD_DN}
objectClass: inetOrgPerson
objectClass: posixAccount
cn: Weird
sn: User
uid: {WEIRD}
uidNumber: 1003
gidNumber: 1003
homeDirectory: /home/weird
userPassword: {PASSWORDS[WEIRD]}

dn: uid=guest,{PEOPLE}
objectClass: inetOrgPerson
cn: Guest
sn: Guest
uid: guest
userPassword: {PASSWORDS["guest"]}

dn: uid=locked,{PEOPLE}
objectClass: inetOrgPerson
objectClass: posixAccount
cn: Locked
sn: Locked
uid: locked
uidNumber: 1004
gidNumber: 1004
homeDirectory: /home/locked

dn: cn=developers,{GROUPS}
objectClass: groupOfNames
cn: developers
member: {ALICE}
member: {WEIRD_DN}

dn: cn=operators,{GROUPS}
objectClass: posixGroup
cn: operators
gidNumber: 2001
memberUid: alice
memberUid: {WEIRD}

dn: cn=everybody,{GROUPS}
objectClass: groupOfUniqueNames
cn: everybody
uniqueMember: {ALICE}
uniqueMember: {BOB}

dn: ou=elsewhere,{SUFFIX}
objectClass: organizationalUnit
ou: elsewhere

dn: cn=admins,ou=elsewhere,{SUFFIX}
objectClass: groupOfNames
cn: admins
member: {BOB}
"""


class Slapd:
    """
    A directory on two loopback ports: `ldap://` with StartTLS, and `ldaps://`.

    It can be stopped and started again: ports and entries stay. `security` and
    `overlay` are lines of its configuration.
    """

    def __init__(
        self,
        directory: Path,
        authority: Authority,
        *,
        hosts: tuple[str, ...] = ("127.0.0.1", "localhost"),
        security: str = "",
        overlay: str = "",
    ) -> None:
        require_programs("slapd", "ldapadd", "ldapmodify")
        directory.mkdir()
        (directory / "data").mkdir()
        self.directory = directory
        self.port = 0
        self.tls_port = 0
        self._held: list[socket.socket] = []
        self._daemon: Daemon | None = None
        self._environment = base_environment(directory / "home") | {
            "LDAPCONF": "/dev/null",
            # what certificates are worth is not for our own tools to find out
            "LDAPTLS_REQCERT": "never",
        }
        # A profile of AppArmor goes by the program's path, and keeps the installed
        # one to its own directories.
        installed = shutil.which("slapd", path=search_path())
        assert installed is not None
        self._program = shutil.copy(installed, directory / "slapd")
        # without hosts, one that names nobody
        pair = authority.issue(*hosts) if hosts else authority.issue_signer("nobody")
        certificate, key = pair.write(directory, "server")
        root_certificate = directory / "root.crt"
        root_certificate.write_bytes(authority.certificate_pem())
        self._configuration = directory / "slapd.conf"
        self._configuration.write_text(
            CONFIGURATION.format(
                directory=directory,
                certificate=certificate,
                key=key,
                root_certificate=root_certificate,
                security=security,
                suffix=SUFFIX,
                root=ROOT,
                root_password=ROOT_PASSWORD,
                groups=GROUPS,
                reader=READER,
                overlay=overlay,
            )
        )

    @property
    def url(self) -> str:
        """`ldap://HOST:PORT`."""
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        """`ldaps://HOST:PORT`."""
        return f"ldaps://127.0.0.1:{self.tls_port}"

    def start(self) -> None:
        """Start it, on the ports that it had before if it had any."""
        if self._held:
            self._start()
            return
        self._held = [_held_port(), _held_port()]
        self.port, self.tls_port = (held.getsockname()[1] for held in self._held)
        self._start()
        self.change(ENTRIES, "ldapadd")

    def _start(self) -> None:
        self._daemon = Daemon(
            [
                *(self._program, "-d", "stats", "-f", self._configuration),
                *("-h", f"{self.url}/ {self.tls_url}/"),
            ],
            self.directory / "slapd.log",
            self._environment,
        )
        self._daemon.wait_for("slapd starting")
        # It says so before it listens.
        poll(
            lambda: _accepts(self.port) and _accepts(self.tls_port),
            "slapd, listening",
        )

    def stop(self) -> None:
        """End it; harmless when it is not running. Its ports stay its own."""
        if self._daemon is not None:
            self._daemon.stop()

    def end(self) -> None:
        """End it for good, and give its ports back."""
        self.stop()
        for held in self._held:
            held.close()

    def freeze(self) -> None:
        """Let it do nothing more."""
        assert self._daemon is not None
        os.kill(self._daemon.pid, signal.SIGSTOP)
        # One thread hears the signal, when it has its turn, and stops the others.
        tasks = Path(f"/proc/{self._daemon.pid}/task")
        poll(
            lambda: all(_state(task) == "T" for task in tasks.iterdir()),
            "slapd, stopped",
        )

    def thaw(self) -> None:
        """Let it go on where it stopped."""
        assert self._daemon is not None
        os.kill(self._daemon.pid, signal.SIGCONT)

    def change(self, ldif: str, program: str = "ldapmodify") -> None:
        """Make changes, in LDIF, as the directory's root."""
        secret = self.directory / "root.secret"
        secret.touch(mode=0o600)
        secret.write_text(ROOT_PASSWORD)
        done = run(
            [program, "-x", "-H", self.tls_url, "-D", ROOT, "-y", secret],
            self._environment,
            ldif,
        )
        if done.status:
            raise AssertionError(f"{program} failed:\n{done.output}")

    def set_password(self, dn: str, password: str) -> None:
        """Change somebody's password."""
        self.change(
            f"dn: {dn}\nchangetype: modify\n"
            f"replace: userPassword\nuserPassword: {password}\n"
        )

    def log(self) -> str:
        """What it did since it was started: connections, searches, binds."""
        assert self._daemon is not None
        return self._daemon.output()


def _state(task: Path) -> str:
    """What a thread does: the letter after the program's name in brackets."""
    return (task / "stat").read_text().rpartition(")")[2].split()[0]


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _held_port() -> socket.socket:
    """
    Return a socket with a port that the kernel gives to nobody else while it is open.

    slapd can listen there all the same, since both allow that their port is reused.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held
