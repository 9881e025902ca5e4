"""
Configurations that are wrong, each with the words that its operator needs.

Files that they name lie beside them: `write_files` makes these.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12

from tests.accounts.hashes import APR1, BCRYPT, SHA1
from tests.certificates import authority, issued, pem_of, small_pair

BASE = """\
[regbroker]
listen = tcp:0
{main}
[registry a.test]
upstream = up
namespaces = {rules}
{registry}
[upstream up]
url = {url}
{upstream}
{more}
"""


@dataclass(frozen=True)
class Broken:
    """A file's bytes, and words that its errors have."""

    data: bytes
    words: tuple[str, ...]


def _with(words: str | tuple[str, ...], **parts: str) -> Broken:
    filled = {"main": "", "registry": "", "upstream": "", "more": ""}
    filled |= {"rules": "* = *", "url": "https://up.test"} | parts
    said = (words,) if isinstance(words, str) else words
    return Broken(BASE.format(**filled).encode("utf-8", "surrogatepass"), said)


def _raw(words: str | tuple[str, ...], data: bytes) -> Broken:
    return Broken(data, (words,) if isinstance(words, str) else words)


#: Not even an ini file, or not one of ours.
WHOLE = {
    "empty": _raw("no [registry HOST] section", b""),
    "blank": _raw("no [registry HOST] section", b"\n\n \t\n"),
    "comments alone": _raw("no [registry HOST] section", b"; a\n# b\n"),
    "NUL": _raw(("line 2", "NUL"), b"[regbroker]\nlisten = tcp:0\0\n"),
    "zeros": _raw("NUL", bytes(5000)),
    "Latin-1": _raw(("line 2", "not UTF-8"), b"[regbroker]\n; caf\xe9\n"),
    "UTF-16": _raw("UTF-16", "[regbroker]\n".encode("utf-16")),
    "UTF-16 without its mark": _raw("NUL", "[regbroker]\n".encode("utf-16-le")),
    "UTF-32": _raw("save it as UTF-8", "[regbroker]\n".encode("utf-32")),
    "gzip": _raw("line 1", b"\x1f\x8b\x08\x00abc"),
    "surrogates": _raw("not UTF-8", b"[registry \xed\xa0\x80]\n"),
    "half a character": _raw("not UTF-8", b"[regbroker]\n; \xe2\x82"),
    "too large": _raw("is this a configuration?", b"; padding\n" * 500_000),
    "no section": _raw("before the first [section]", b"listen = tcp:0\n"),
    "nginx": _raw("before the first [section]", b"server {\n  listen 443;\n}\n"),
    "YAML": _raw("before the first [section]", b"registry:\n  host: a\n"),
    "JSON": _raw("before the first [section]", b'{"registry": {"a": 1}}\n'),
    "TOML": _raw(
        "[[registry]]: unknown section",
        b'[[registry]]\nhost = "a.test"\n',
    ),
    "HTML": _raw("before the first [section]", b"<!DOCTYPE html>\n<html></html>\n"),
    "no equals sign": _raw(
        ("line 2", "neither '[section]' nor 'option = value'"),
        b"[regbroker]\nlisten tcp:0\n",
    ),
    "colons": _raw("line 2", b"[regbroker]\nlisten: tcp:0\n"),
    "many wrong lines": _raw("10, 11, ...:", b"[regbroker]\n" + b"wrong\n" * 50),
    "no end of a section": _raw("line 2", b"[regbroker]\n[registry a.test\n"),
    "empty section": _raw("line 2", b"[regbroker]\n[]\n"),
    "blank section": _raw("unknown section", b"[ ]\n"),
    "no name of an option": _raw("line 2", b"[regbroker]\n= x\n"),
    "a lone bracket": _raw("before the first [section]", b"[\n"),
    "a section twice": _raw(
        "[registry a.test]: line 3: this section stands twice",
        b"[registry a.test]\nnamespaces = * = *\n[registry a.test]\n",
    ),
    "a section twice, with other spaces": _raw(
        "[registry a.test]: this section stands twice",
        b"[registry a.test]\n[registry  a.test]\n",
    ),
    "an option twice": _raw(
        "[regbroker] listen: line 3: given twice",
        b"[regbroker]\nlisten = tcp:0\nlisten = tcp:0\n",
    ),
    "an option twice, then no sense": _raw(
        ("given twice", "line 4"), b"[regbroker]\nlisten = a\nlisten = b\nx\n"
    ),
    "a section without a name": _raw(
        "[registry]: the section needs a name", b"[registry]\n"
    ),
    "an unknown section": _raw("[server]: unknown section", b"[server]\n"),
    "a misspelt section": _raw("did you mean 'registry'?", b"[registri a.test]\n"),
    "a plural": _raw("did you mean 'upstream'?", b"[upstreams up]\n"),
    "another case": _raw("did you mean 'registry'?", b"[Registry a.test]\n"),
    "DEFAULT": _raw("[DEFAULT]: unknown section", b"[DEFAULT]\nurl = x\n"),
    "a long name": _raw("unknown section", b"[" + b"x" * 100_000 + b"]\n"),
    "control characters": _raw("unknown section", b"[\x1b[31mred\x07]\n"),
    "only carriage returns": _raw(
        "no [registry HOST] section", b"; old Mac\r; a comment\r"
    ),
}

#: One thing in an option.
OPTIONS = {
    "misspelt": _with("did you mean 'listen'?", main="lisen = tcp:0"),
    "underscore": _with("did you mean 'state-directory'?", main="state_directory = v"),
    "case": _with("did you mean 'url'?", upstream="Url = https://b.test"),
    "of another section": _with("it belongs in [upstream NAME]", registry="url = x"),
    "of nothing": _with("unknown option; known here:", registry="proxy_pass = x"),
    "interpolation": _with("%(here)s", upstream="ca-file = %(here)s/ca.pem"),
    "half an interpolation": _with("50%", main="client-timeout = 50%"),
    "a variable": _with("${HOME}", upstream="ca-file = ${HOME}/ca.pem"),
    "a percent sign at the end": _with("[upstream up] realm:", upstream="realm = x%"),
    "no listener": _raw("listen: empty", b"[regbroker]\nlisten =\n"),
    "no port": _raw("no port from 0 to 65535", b"[regbroker]\nlisten = tls:\n"),
    "a port too large": _raw("no port", b"[regbroker]\nlisten = tls:65536\n"),
    "a huge port": _raw("no port", b"[regbroker]\nlisten = tcp:" + b"9" * 5000),
    "a negative port": _raw("no port", b"[regbroker]\nlisten = tcp:-1\n"),
    "a port by name": _raw("no port", b"[regbroker]\nlisten = tls:https\n"),
    "digits of another script": _raw(
        "no port", "[regbroker]\nlisten = tls:٤٤٣\n".encode()
    ),
    "a bare port": _raw("listen: '443'", b"[regbroker]\nlisten = 443\n"),
    "a bare address": _raw("listen:", b"[regbroker]\nlisten = 0.0.0.0:443\n"),
    "a bare IPv6 address": _raw("listen:", b"[regbroker]\nlisten = [::]:443\n"),
    "an IPv6 address after tls": _raw(
        "listen:", b"[regbroker]\nlisten = tls:[::]:443\n"
    ),
    "a URL": _raw("listen:", b"[regbroker]\nlisten = https://a.test\n"),
    "an unknown endpoint": _raw("listen:", b"[regbroker]\nlisten = udp:53\n"),
    "a wrong argument": _raw(
        "is not understood", b"[regbroker]\nlisten = tcp:0:interfce=x\n"
    ),
    "a backslash at the end": _raw(
        "ends with a backslash", b"[regbroker]\nlisten = tls:8443:interface=a\\\n"
    ),
    "three backslashes at the end": _raw(
        "ends with a backslash", b"[regbroker]\nlisten = unix:/run/s\\\\\\\n"
    ),
    "bare colons of an address": _raw(
        r"write interface=\:\:1", b"[regbroker]\nlisten = tls:8443:interface=::1\n"
    ),
    "an address in brackets": _raw(
        r"write interface=2001\:db8\:\:5",
        b"[regbroker]\nlisten = tcp:80:interface=[2001\\:db8\\:\\:5]:backlog=9\n",
    ),
    "an address in brackets, for the operator": _raw(
        r"write interface=\:\:1", b"[regbroker]\nadmin-listen = tcp:1:interface=[::1]\n"
    ),
    "digits of another script alone": _raw(
        "write tls:PORT", "[regbroker]\nlisten = ٤٤٣\n".encode()
    ),
    "a long path of a socket": _raw(
        ("'unix:/run/aa", "107 bytes at most"),
        b"[regbroker]\nlisten = unix:/run/" + b"a" * 103 + b"\n",
    ),
    "a long path of a socket, with TLS": _raw(
        "107 bytes at most",
        "[regbroker]\nlisten = proxy:tls:unix:/{}:mode=660\n".format("é" * 54).encode(),
    ),
    "a long path of a socket, for the operator": _raw(
        ("[regbroker] admin-listen: ", "107 bytes at most"),
        b"[regbroker]\nadmin-listen = unix:/run/" + b"a" * 103 + b"\n",
    ),
    "a listener twice": _raw(
        "stands twice", b"[regbroker]\nlisten =\n  tcp:81\n  tcp:81\n"
    ),
    "a port twice": _raw(
        "both want port 8443",
        b"[regbroker]\nlisten =\n  tls:8443\n  tcp:8443:interface=127.0.0.1\n",
    ),
    "a port twice on IPv6": _raw(
        "both want port 8443",
        b"[regbroker]\nlisten =\n  tls:8443:interface=\\:\\:\n  tcp:8443\n",
    ),
    "a socket twice": _raw(
        "both want /run/s", b"[regbroker]\nlisten =\n  unix:/run/s\n  tls:unix:/run/s\n"
    ),
    "proxy: without peers": _raw(
        "needs trusted-proxies", b"[regbroker]\nlisten = proxy:tcp:0\n"
    ),
    "a network with host bits": _with(
        "no address or network", main="trusted-proxies = 10.0.0.1/8"
    ),
    "a network too small": _with(
        "no address or network", main="trusted-proxies = 10.0.0.0/33"
    ),
    "a name for a network": _with(
        "no address or network", main="trusted-proxies = proxy.test"
    ),
    "a NUL in a path, written": _with("cannot be read", upstream="ca-file = a\\0b"),
    "seconds in words": _with("not a number of seconds", main="client-timeout = 1m"),
    "no seconds": _with("not a number of seconds", main="client-timeout = 0"),
    "less than no seconds": _with(
        "not a number of seconds", main="client-timeout = -1"
    ),
    "infinity": _with("not a number of seconds", main="client-timeout = inf"),
    "not a number": _with("not a number of seconds", main="client-timeout = nan"),
    "a huge number": _with(
        "not a number of seconds", main="client-timeout = " + "9" * 10_000
    ),
    "an exponent": _with("not a number of seconds", main="client-timeout = 1e3"),
    "a superscript": _with("not a number", main="max-connections = ²"),
    "a comma": _with("not a number of seconds", main="client-timeout = 1,5"),
    "no connections": _with("not a number from 1", main="max-connections = 0"),
    "a rate": _with("bytes per second", main="min-upload-rate = fast"),
    "an audit log with a long name": _with(
        "audit-log: /var/log/", main="audit-log = /var/log/" + "a" * 300
    ),
    "an audit log in a file": _with(
        "audit-log: /dev/null/", main="audit-log = /dev/null/audit.log"
    ),
    "a directory for an audit log": _with(
        "directory cannot be written: Is a directory", main="audit-log = directory"
    ),
    "a pipe for an audit log": _with(
        "pipe cannot be written: No such device", main="audit-log = pipe"
    ),
    "an audit log that leads nowhere": _with(
        "dangling cannot be written: No such file", main="audit-log = dangling"
    ),
    "an audit log that leads to itself": _with(
        "loop cannot be written: Too many levels", main="audit-log = loop"
    ),
    "a file for the sandbox": _with(
        ("state-directory: ", "Not a directory; ", "what is pushed to [upstream up]"),
        main="state-directory = users",
        url="sandbox:",
    ),
    "a link to itself for the sandbox": _with(
        ("state-directory: ", "Too many levels"),
        main="state-directory = loop",
        url="sandbox:",
    ),
    "a realm with a host that is none": _with(
        "[upstream up] realm: ", upstream="realm = https://a..test/token"
    ),
    "a proxy with a host that is none": _with(
        "[upstream up] proxy: ", upstream="proxy = http://-a.test:3128"
    ),
    "a search with a host that is none": _with(
        "[upstream up] search-url: ",
        upstream="search-url = https://" + "a" * 64 + ".test",
    ),
    "a public URL with a host that is none": _with(
        "[registry a.test] public-url: ", registry="public-url = https://a..test"
    ),
    "an issuer with a host that is none": _with(
        "[identity ci] issuer: ",
        more="[identity ci]\nissuer = https://a..test\naudience = a",
    ),
    "a user without a name": _with(
        "[upstream up] username: empty", upstream="username =\npassword-file = users"
    ),
    "a wrong expression": _with("no regular expression", main="deny-user-agents = ("),
    "a huge repetition": _with(
        "no regular expression", main="deny-user-agents = a{99999999999}"
    ),
    "flags in the second expression": _with(
        "no regular expression", main="deny-user-agents =\n  a\n  b(?i)"
    ),
    "a group twice": _with(
        "no regular expression", main="deny-user-agents =\n  (?P<a>x)\n  (?P<a>y)"
    ),
    "deep parentheses": _with(
        "no regular expression", main="deny-user-agents = " + "(" * 5000
    ),
    "a mirror of nothing": _with("SOURCE = HOST", main="ns = docker.io"),
    "a mirror without a section": _with(
        "there is no [registry b.test]", main="ns = docker.io = b.test"
    ),
    "a missing key": _with(
        "cannot be read: No such file", main="signing-key = none.pem"
    ),
    "a directory for a key": _with("Is a directory", main="signing-key = directory"),
    "a certificate for a key": _with(
        "private keys belong here", main="signing-key = good.pem"
    ),
    "an RSA key": _with("P-256 is right", main="signing-key = rsa.key"),
    "a locked key": _with("encrypted", main="signing-key = locked.key"),
    "a host with a port": _raw(
        "is no host name",
        b"[registry a.test:443]\nupstream = u\n[upstream u]\nurl = sandbox:\n",
    ),
    "a host with a scheme": _raw("is no host name", b"[registry https://a.test]\n"),
    "a host in capitals": _raw("in lower case", b"[registry A.test]\n"),
    "a wrong IPv6 host": _raw("is no host name", b"[registry [::1::2]]\n"),
    "a host that is long": _raw(
        "is no host name", b"[registry " + b"a." * 200 + b"test]\n"
    ),
    "a host in another script": _raw(
        "is no host name", "[registry b\u00fccher.test]\n".encode()
    ),
    "the host of our own certificate in another script": _raw(
        "is no host name",
        (
            "[regbroker]\nlisten = tls:0\n[registry b\u00fccher.test]\nupstream = up\n"
            "namespaces = * = *\n[upstream up]\nurl = https://up.test\n"
        ).encode(),
    ),
    "no rule": _with("[registry a.test] namespaces: empty", rules=""),
    "half a rule": _with("'team'", rules="team"),
    "a rule in capitals": _with("Team", rules="Team = acme"),
    "a rule of slashes": _with("namespaces", rules="/ = /"),
    "two rules for one name": _with("namespaces", rules="\n  a = b\n  a = c"),
    "two stars": _with("namespaces", rules="** = *"),
    "a rule for no upstream": _with(
        "there is no [upstream hub]", rules="hub/* = hub:*"
    ),
    "an unknown upstream": _with(
        ("there is no [upstream upp]", "did you mean 'up'?"),
        registry="[registry b.test]\nnamespaces = * = *\nupstream = upp",
    ),
    "unknown accounts": _with(
        "there is no [accounts staff]", registry="accounts = staff"
    ),
    "misspelt accounts": _with(
        "did you mean 'staff'?",
        registry="accounts = staf",
        more="[accounts staff]\nhtpasswd = users\n[access staff]\nx = **: pull",
    ),
    "rights without accounts": _with(
        "the upstream decides now",
        registry="access = x",
        more="[access x]\na = **: pull",
    ),
    "accounts without rights": _with(
        "write [access staff]",
        registry="accounts = staff",
        more="[accounts staff]\nhtpasswd = users",
    ),
    "unused accounts": _with(
        "accounts: missing", more="[accounts staff]\nhtpasswd = users"
    ),
    "a token path in /v2": _with(
        "outside /v1 and /v2", registry="token-path = /v2/auth"
    ),
    "a short life": _with("too short", registry="token-life = 1"),
    "an unknown word": _with("write pass or follow", registry="redirects = relay"),
    "an empty word": _with("write allow or deny", registry="writes ="),
    "a true": _with("write filter or deny", registry="catalog = true"),
    "a public URL with a path": _with(
        "without a path", registry="public-url = https://a.test/x"
    ),
    "hosts of a host": _with("belongs in [registry *]", registry="hosts = b.test"),
    "an origin with a path": _with(
        "is no origin", registry="cors-origins = https://a.test/"
    ),
    "an extension without _": _with("begins with _", registry="extensions = oci"),
    "nothing is shared": _with("write shared", registry="anonymous = yes"),
    "an URL without a scheme": _with(
        "begins with no scheme; write https:// before the host", url="up.test"
    ),
    "an URL in quotation marks": _with(
        "take the quotation marks away", url='"https://up.test"'
    ),
    "an URL with a comment": _with(
        "a comment stands on a line of its own", url="https://up.test  # ours"
    ),
    "a variable in an URL": _with("variables have no meaning here", url="${URL}"),
    "nginx's end of a line": _with("take the ; at its end", url="https://up.test;"),
    "nginx's listen": _raw("write tls:443", b"[regbroker]\nlisten = 443 ssl\n"),
    "proxy: at the wrong place": _raw(
        "write proxy:tls:8443",
        b"[regbroker]\nlisten = tls:proxy:8443\ntrusted-proxies = ::1\n",
    ),
    **{
        f"systemd: {words}": _raw(
            "names no socket of systemd's",
            f"[regbroker]\nlisten = systemd:{words}\n".encode(),
        )
        for words in (
            "web",
            "name=web",
            "domain=inet:name=web",
            "domain=INET",
            "domain=INET:index=x",
            "domain=INET:nme=web",
            "domain=INET:index=0:name=web",
        )
    },
    "a socket's unknown user": _raw(
        "'unix:/x:user=no-such': this machine has no user 'no-such'",
        b"[regbroker]\nlisten = unix:/x:user=no-such\n",
    ),
    "two listeners on a line": _raw(
        "on a line of its own: tcp:80 and tcp:81",
        b"[regbroker]\nlisten = tcp:80 tcp:81\n",
    ),
    "an option with blanks before it": _raw(
        "if workers is an option here, take them away",
        b"[regbroker]\nlisten = tcp:0\n  workers = 2\n",
    ),
    "a password in the file": _with(
        "a password is in a file of its own: password-file",
        upstream="password = hunter2",
    ),
    "another scheme": _with("write https://HOST", url="ftp://up.test"),
    "no URL": _with("write https://HOST", url=""),
    "a user in a URL": _with(
        "has a user in it; write https://HOST, and username", url="https://a:b@up.test"
    ),
    "a query in a URL": _with("write https://HOST", url="https://up.test/?a"),
    "a URL in capitals": _with("write https://HOST", url="HTTPS://up.test"),
    "a URL's huge port": _with(
        "write https://HOST", url="https://up.test:" + "9" * 5000
    ),
    "a URL's wrong port": _with("write https://HOST", url="https://up.test:https"),
    "a URL's wrong IPv6": _with("write https://HOST", url="https://[::g]"),
    "a URL's bare IPv6": _with("write https://HOST", url="https://::1"),
    "a URL's zone": _with("write https://HOST", url="https://[fe80::1%eth0]"),
    "a URL's path": _with(
        "is not one that a registry can have", url="https://up.test/%00"
    ),
    "a missing CA": _with(
        "cannot be read: No such file", upstream="ca-file = none.pem"
    ),
    "a directory for a CA": _with("directory", upstream="ca-file = directory"),
    "a CA in DER form": _with(
        "openssl x509 -inform der", upstream="ca-file = good.der"
    ),
    "a key for a CA": _with(
        "it holds a key and no certificate", upstream="ca-file = good.key"
    ),
    "a realm in the clear": _with(
        "in the clear", upstream="realm = http://auth.test/t"
    ),
    "a realm that is none": _with("URL of the token service", upstream="realm = auth"),
    "a user without a password": _with("goes together", upstream="username = u"),
    "a password without a user": _with("go together", upstream="password-env = HOME"),
    "a missing password": _with(
        "cannot be read: No such file", upstream="username = u\npassword-file = none"
    ),
    "an empty password": _with(
        "empty; the password", upstream="username = u\npassword-file = empty"
    ),
    "a NUL in a password": _with(
        "it holds a NUL", upstream="username = u\npassword-file = zeros"
    ),
    "a directory for a password": _with(
        "password-file", upstream="username = u\npassword-file = directory"
    ),
    "a password in Latin-1": _with(
        "not UTF-8", upstream="username = u\npassword-file = latin1"
    ),
    "a variable that is not there": _with(
        "the environment has no", upstream="username = u\npassword-env = NO_SUCH_ONE"
    ),
    "two accounts": _with(
        "keep one",
        upstream="username = u\npassword-env = HOME\ncredential-helper = x",
    ),
    "a helper with a path": _with(
        "without a path", upstream="credential-helper = /bin/x"
    ),
    "a search with its path": _with(
        "without /search", upstream="search-url = https://a.test/v1/search"
    ),
    "a redirect host with a scheme": _with(
        "is no host name", upstream="redirect-hosts = https://a.test"
    ),
    "a redirect path in /v2": _with("outside /v2", upstream="redirect-paths = /v2/x"),
    "a namespace that is none": _with(
        "is no namespace", upstream="default-namespace = A B"
    ),
}


def _tls(words: str | tuple[str, ...], certificate: str, key: str) -> Broken:
    return _with(words, more=f"[tls]\ncertificate = {certificate}\nkey = {key}")


def _client(words: str | tuple[str, ...], certificate: str, key: str) -> Broken:
    options = f"client-certificate = {certificate}\nclient-key = {key}"
    return _with(words, upstream=options)


def _accounts(words: str | tuple[str, ...], source: str, rights: str = "") -> Broken:
    return _with(
        words,
        registry="accounts = own",
        more=f"[accounts own]\n{source}\n[access own]\n{rights or 'a = **: pull'}",
    )


#: Something in a file that the configuration names.
FILES = {
    "no certificate file": _tls("cannot be read: No such file", "none.pem", "good.key"),
    "no key file": _tls("cannot be read: No such file", "good.pem", "none.key"),
    "a directory": _tls("directory", "directory", "good.key"),
    "a pipe": _tls("no regular file", "pipe", "good.key"),
    "an empty certificate": _tls("it is empty", "empty", "good.key"),
    "an empty key": _tls("it is empty", "good.pem", "empty"),
    "zeros": _tls("no PEM file", "zeros", "zeros"),
    "swapped": _tls("swap the two lines", "good.key", "good.pem"),
    "a pipe for a key": _tls(
        ("[tls] key: ", "pipe: no regular file"), "good.pem", "pipe"
    ),
    "a device for a key": _tls(
        ("[tls] key: /dev/null: ", "no regular file"), "good.pem", "/dev/null"
    ),
    "a key twice": _tls("it holds a key and no certificate", "good.key", "good.key"),
    "a certificate twice": _tls(
        "it holds a certificate and no key", "good.pem", "good.pem"
    ),
    "of another certificate": _tls("does not belong to", "good.pem", "rsa.key"),
    "the CA first": _tls("key's own certificate first", "reversed.pem", "good.key"),
    "locked": _tls("openssl pkey -in", "good.pem", "locked.key"),
    "DER": _tls("openssl x509 -inform der -in", "good.der", "good.key"),
    "a key in DER": _tls("openssl pkey -inform der -in", "good.pem", "key.der"),
    "PKCS#12": _tls(("openssl pkcs12 -in", "-nokeys"), "good.p12", "good.p12"),
    "a key in PKCS#12": _tls("-nocerts -nodes", "good.pem", "good.p12"),
    "locked PKCS#12": _tls("openssl pkcs12 -in", "locked.p12", "locked.p12"),
    "PKCS#7": _tls("openssl pkcs7 -print_certs", "good.p7b", "good.key"),
    "PKCS#7 in DER": _tls("openssl pkcs7 -inform der", "p7b.der", "good.key"),
    "a request": _tls("request for a certificate", "good.csr", "good.key"),
    "a public key": _tls("it holds a public key", "good.pem", "public.pem"),
    "a key store": _tls("keytool -importkeystore", "java.jks", "good.key"),
    "UTF-16": _tls("UTF-16", "utf16.pem", "good.key"),
    "cut off": _tls("is damaged", "cut.pem", "good.key"),
    "damaged": _tls("is damaged", "damaged.pem", "good.key"),
    "a damaged key": _tls("the key is damaged", "good.pem", "damaged.key"),
    "too small a key": _tls("key too small", "small.pem", "small.key"),
    "no key line": _with(
        "certificate and key go together", more="[tls]\ncertificate = good.pem"
    ),
    "a key of OpenSSH": _tls("a key of OpenSSH", "good.pem", "ssh.key"),
    "a key for no signatures": _tls(
        "it is X25519, and the certificate is for EC (secp256r1)", "good.pem", "x.key"
    ),
    "a client's key of another kind": _client(
        (
            "[upstream up] client-key: ",
            "does not belong to the certificate: it is RSA, and the certificate is for "
            "EC (secp256r1)",
        ),
        *("good.pem", "rsa.key"),
    ),
    "a client's key of another certificate": _client(
        ("[upstream up] client-key: ", "does not belong to the certificate\n"),
        *("good.pem", "other.key"),
    ),
    "a client's key, locked": _client(
        ("[upstream up] client-key: ", "openssl pkey -in "), "good.pem", "locked.key"
    ),
    "a client's key that is a pipe": _client(
        ("[upstream up] client-key: ", "pipe: no regular file"), "good.pem", "pipe"
    ),
    "a client's key in DER": _client(
        ("[upstream up] client-key: ", "openssl pkey -inform der -in "),
        *("good.pem", "key.der"),
    ),
    "a client's pair, swapped": _client(
        ("[upstream up] client-certificate: ", "swap the two lines"),
        *("good.key", "good.pem"),
    ),
    "a client's certificate, the CA first": _client(
        ("[upstream up] client-certificate: ", "key's own certificate first"),
        *("reversed.pem", "good.key"),
    ),
    "a client's key that is not there": _client(
        ("[upstream up] client-key: ", "none.key cannot be read: No such file"),
        *("good.pem", "none.key"),
    ),
    "no certificate line": _with("go together", more="[tls]\nkey = good.key"),
    "a wrong title": _with(
        "is no host name", more="[tls A]\ncertificate = good.pem\nkey = good.key"
    ),
    "an empty path": _tls("empty; write a path", "", ""),
    "no accounts": _accounts("no source of accounts", ""),
    "no htpasswd": _accounts("cannot be read: No such file", "htpasswd = none"),
    "an empty htpasswd line": _accounts("[accounts own] htpasswd: empty", "htpasswd ="),
    "an LDAP account without a name": _accounts(
        "[accounts own] ldap-bind-dn: empty",
        "ldap = ldap://a/dc=a\nldap-bind-dn =\nldap-bind-password-file = users",
    ),
    "a directory for htpasswd": _accounts("htpasswd", "htpasswd = directory"),
    "a pipe for htpasswd": _accounts("no regular file", "htpasswd = pipe"),
    "a line without a colon": _accounts(
        ("line 2: no colon between user and hash",), "htpasswd = nocolon"
    ),
    "a line without a user": _accounts("line 1: no user before", "htpasswd = nouser"),
    "half a hash": _accounts("line 1: the hash is damaged", "htpasswd = half"),
    "a name in Latin-1": _accounts("name is not UTF-8", "htpasswd = latin1user"),
    "only yescrypt": _accounts(
        ("line 1: a yescrypt hash", "nobody in it can log in"), "htpasswd = yescrypt"
    ),
    "only passwords": _accounts("the password itself", "htpasswd = passwords"),
    "a binary htpasswd": _accounts("no colon", "htpasswd = good.der"),
    "an LDAP URL that is none": _accounts(
        "[accounts own] ldap", "ldap = directory.test"
    ),
    "an LDAP port": _accounts("[accounts own] ldap", "ldap = ldap://a:99999999/dc=a"),
    "an LDAP filter": _accounts(
        "[accounts own] ldap", "ldap = ldap://a/dc=a???(((uid=*)"
    ),
    "an LDAP CA": _accounts(
        "ldap-ca-file", "ldap = ldaps://a/dc=a\nldap-ca-file = good.key"
    ),
    "an LDAP switch": _accounts(
        "yes or no", "ldap = ldap://a/dc=a\nldap-start-tls = 1"
    ),
    "half an LDAP account": _accounts(
        "go together", "ldap = ldap://a/dc=a\nldap-bind-dn = cn=a"
    ),
    "an LDAP group filter": _accounts(
        "ldap-group-filter",
        "ldap = ldap://a/dc=a\nldap-group-base = dc=a\nldap-group-filter = ((",
    ),
    "no action": _accounts("patterns: actions", "htpasswd = users", "a = **"),
    "an unknown action": _accounts("is no action", "htpasswd = users", "a = **: read"),
    "a colon in a user": _accounts(
        "nobody can log in", "htpasswd = users", "a:b = **: pull"
    ),
    "a group without a name": _accounts(
        "group's name", "htpasswd = users", "@ = **: pull"
    ),
    "a pattern in capitals": _accounts(
        "[access own] a", "htpasswd = users", "a = Team/*: pull"
    ),
    "an unknown variable": _accounts(
        "[access own] a", "htpasswd = users", "a = ${x}/*: pull"
    ),
    "accounts called upstream": _with(
        "choose another name", more="[accounts upstream]\nhtpasswd = users"
    ),
}

ALL = {
    f"{group}: {name}": broken
    for group, table in (("file", WHOLE), ("option", OPTIONS), ("beside", FILES))
    for name, broken in table.items()
}


def write_files(directory: Path) -> None:
    """Write what the configurations name."""
    good = issued("a.test")
    good.write(directory, "good")
    rsa = issued("rsa.test", kind="rsa")
    rsa.write(directory, "rsa")
    issued("other.test").write(directory, "other")
    small = small_pair()
    small.write(directory, "small")
    loaded, key = good.loaded(), good.private()
    der = loaded.public_bytes(serialization.Encoding.DER)
    p7b = pkcs7.serialize_certificates([loaded], serialization.Encoding.PEM)
    nothing = serialization.NoEncryption()
    best = serialization.BestAvailableEncryption(b"secret")
    request = x509.CertificateSigningRequestBuilder().subject_name(loaded.subject)
    files = {
        "reversed.pem": authority().certificate + good.certificate,
        "locked.key": pem_of(key, b"secret"),
        "good.der": der,
        "key.der": key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, nothing
        ),
        "good.p12": pkcs12.serialize_key_and_certificates(
            b"a", key, loaded, None, nothing
        ),
        "locked.p12": pkcs12.serialize_key_and_certificates(
            b"a", key, loaded, None, best
        ),
        "good.p7b": p7b,
        "p7b.der": pkcs7.serialize_certificates([loaded], serialization.Encoding.DER),
        "good.csr": request.sign(key, hashes.SHA256()).public_bytes(
            serialization.Encoding.PEM
        ),
        "public.pem": key.public_key().public_bytes(
            serialization.Encoding.PEM,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        ),
        "ssh.key": key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, nothing
        ),
        "x.key": pem_of(x25519.X25519PrivateKey.generate()),
        "java.jks": bytes.fromhex("feedfeed00000002"),
        "utf16.pem": good.certificate.decode().encode("utf-16"),
        "cut.pem": good.certificate[:200],
        "damaged.pem": _damaged(good.certificate),
        "damaged.key": _damaged(good.key),
        "empty": b"",
        "zeros": bytes(100),
        "latin1": b"caf\xe9\n",
        "users": f"a:{BCRYPT}\n".encode(),
        "nocolon": f"a:{BCRYPT}\nb\n".encode(),
        "nouser": f":{BCRYPT}\n".encode(),
        "half": f"a:{BCRYPT[:40]}\nb:{APR1}\n".encode(),
        "latin1user": b"b\xe4rbel:" + SHA1.encode(),
        "yescrypt": b"a:$y$j9T$x$y\n",
        "passwords": b"a:hunter2\nb:hunter3\n",
    }
    for name, data in files.items():
        (directory / name).write_bytes(data)
    (directory / "directory").mkdir()
    os.mkfifo(directory / "pipe")
    (directory / "dangling").symlink_to("none/audit.log")
    (directory / "loop").symlink_to("loop")


def _damaged(pem: bytes) -> bytes:
    lines = pem.splitlines(keepends=True)
    lines[1] = b"AAAA" + lines[1][4:]
    return b"".join(lines)
