"""
Replies that are none, and odd ones that are: by name, as bytes on the wire.

They are the mirror of `tests.malformed`: what a server could send to be read in one way
here and in another behind us.
"""

from __future__ import annotations

from tests.malformed import CONTROLS

LINE = b"HTTP/1.1 200 OK\r\n"
EMPTY = b"Content-Length: 0\r\n\r\n"
CHUNKED = LINE + b"Transfer-Encoding: chunked\r\n\r\n"


def _lines() -> dict[str, bytes]:
    lines = {
        "HTTP/0.9": b"HTTP/0.9 200 OK",
        "HTTP/1.2": b"HTTP/1.2 200 OK",
        "HTTP/2.0": b"HTTP/2.0 200 OK",
        "HTTP/11": b"HTTP/11 200 OK",
        "lower case": b"http/1.1 200 OK",
        "RTSP": b"RTSP/1.0 200 OK",
        "ICY": b"ICY 200 OK",
        "SSH": b"SSH-2.0-OpenSSH_9.2",
        "a request": b"GET / HTTP/1.1",
        "an empty line first": b"\r\nHTTP/1.1 200 OK",
        "two digits": b"HTTP/1.1 20 OK",
        "four digits": b"HTTP/1.1 2000 OK",
        "a sign": b"HTTP/1.1 +20 OK",
        "below 100": b"HTTP/1.1 099 OK",
        "no status": b"HTTP/1.1 OK",
        "two spaces": b"HTTP/1.1  200 OK",
        "bare LF": b"HTTP/1.1 200 OK\nA: b",
        "bare CR": b"HTTP/1.1 200 OK\rA: b",
        "101": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade",
        "101, and nothing": b"HTTP/1.1 101 Switching",
        "100 with a body": b"HTTP/1.1 100 Continue\r\nContent-Length: 3",
        "103 with a body": b"HTTP/1.1 103 Early\r\nContent-Length: 3",
        "199 with chunks": b"HTTP/1.1 199 What\r\nTransfer-Encoding: chunked",
    }
    return {f"line, {n}": line + b"\r\n\r\nabc" for n, line in lines.items()}


def _headers() -> dict[str, bytes]:
    lines = {
        "no colon": b"no colon",
        "no name": b": value",
        "space before the colon": b"Name : value",
        "space in the name": b"Na me: value",
        "control in the name": b"Na\x01me: value",
        "no ASCII in the name": b"Nam\xe9: value",
        "folded": b"Name: value\r\n more",
        "folded with a tab": b"Name: value\r\n\tmore",
        "folded at once": b"Name:\r\n value",
        "a control behind a fold": b"Name: value\r\n c\x00d",
        "bare CR": b"Name: value\rX: y",
        "bare LF": b"Name: value\nX: y",
        "LF CR": b"Name: value\n\rX: y",
        "two ends": b"Name: value\n\nHTTP/1.1 201 X",
        "NUL": b"Name: va\x00lue",
        "a control in Connection": b"Connection: \x01",
    }
    found = {f"header, {n}": LINE + line + b"\r\n" + EMPTY for n, line in lines.items()}
    found["header, folded, the first"] = LINE + b" Name: value\r\n" + EMPTY
    for control in (b"\x00", *CONTROLS):
        for value in (b"a%bb", b"%bb", b"a%b", b"%b"):
            found[f"header, {control.hex()} in {value!r}"] = (
                LINE + b"A:" + value % control + b"; z\r\n" + EMPTY
            )
    return found


def _framing() -> dict[str, bytes]:
    lengths = {
        "two": b"Content-Length: 3\r\nContent-Length: 3",
        "two that differ": b"Content-Length: 3\r\nContent-Length: 4",
        "a list": b"Content-Length: 3, 3",
        "a sign": b"Content-Length: +3",
        "negative": b"Content-Length: -3",
        "hexadecimal": b"Content-Length: 0x3",
        "a letter": b"Content-Length: 3a",
        "a space": b"Content-Length: 3 0",
        "empty": b"Content-Length:",
        "other digits": "Content-Length: ٣".encode(),
        "beyond 64 bits": b"Content-Length: 18446744073709551616",
        "and chunked": b"Content-Length: 3\r\nTransfer-Encoding: chunked",
        "after chunked": b"Transfer-Encoding: chunked\r\nContent-Length: 3",
    }
    codings = {
        "gzip": b"gzip",
        "identity": b"identity",
        "a list": b"gzip, chunked",
        "chunked first": b"chunked, identity",
        "a list of chunked": b"chunked, chunked",
        "a longer word": b"xchunked",
        "a word with more": b"chunkedx",
        "quoted": b'"chunked"',
        "with a parameter": b"chunked;q=1",
        "a vertical tab": b"\x0bchunked",
        "empty": b"",
        "twice": b"chunked\r\nTransfer-Encoding: chunked",
        "and another": b"chunked\r\nTransfer-Encoding: x",
    }
    body = b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    found = {f"Content-Length, {n}": LINE + h + body for n, h in lengths.items()}
    for name, coding in codings.items():
        found[f"Transfer-Encoding, {name}"] = (
            LINE + b"Transfer-Encoding: " + coding + body
        )
    found["Transfer-Encoding in HTTP/1.0"] = CHUNKED.replace(b"1.1", b"1.0") + body[4:]
    return found


def _chunks() -> dict[str, bytes]:
    bodies = {
        "no number": b"nonsense\r\n",
        "a prefix": b"0x3\r\nabc\r\n0\r\n\r\n",
        "a sign": b"+3\r\nabc\r\n0\r\n\r\n",
        "a space before": b" 3\r\nabc\r\n0\r\n\r\n",
        "a space after": b"3 \r\nabc\r\n0\r\n\r\n",
        "empty": b"\r\nabc\r\n0\r\n\r\n",
        "bare LF": b"3\nabc\r\n0\r\n\r\n",
        "bare CR": b"3\rabc\r\n0\r\n\r\n",
        "too long": b"3\r\nabcde\r\n0\r\n\r\n",
        "too short": b"3\r\nab\r\n0\r\n\r\n",
        "bare LF at its end": b"3\r\nabc\n0\r\n\r\n",
        "a size beyond 64 bits": b"1" * 17 + b"\r\n",
        "NUL in an extension": b"3;a=\x00\r\nabc\r\n0\r\n\r\n",
        "bare LF in an extension": b"3;a=\nb\r\nabc\r\n0\r\n\r\n",
    }
    trailers = {
        "NUL": b"A: \x00",
        "a control": b"A: b\x01c",
        "bare CR": b"A: b\rc",
        "bare LF": b"A: b\nc",
        "folded": b"A: b\r\n c",
        "no colon": b"nonsense",
        "no name": b": b",
        "space before the colon": b"A : b",
        "Content-Length": b"Content-Length: 3",
    }
    found = {f"chunk, {name}": CHUNKED + body for name, body in bodies.items()}
    for name, line in trailers.items():
        found[f"trailer, {name}"] = CHUNKED + b"3\r\nabc\r\n0\r\n" + line + b"\r\n\r\n"
    return found


#: What no reply is, by name.
MALFORMED = {**_lines(), **_headers(), **_framing(), **_chunks()}

#: Odd, but replies all the same, each with the body that it has.
WELL_FORMED = {
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\na", b"a"),
    "an empty reason": (b"HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\na", b"a"),
    "length with zeros": (LINE + b"Content-Length: 0003\r\n\r\nabc", b"abc"),
    "chunked in any case": (
        LINE + b"Transfer-Encoding: \tChunked \r\n\r\n1\r\na\r\n0\r\n\r\n",
        b"a",
    ),
    "an extension": (CHUNKED + b'3;a="b;c"\r\nabc\r\n0\r\n\r\n', b"abc"),
    "capitals in a size": (CHUNKED + b"0A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    "two chunks": (CHUNKED + b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", b"abc"),
    "trailers": (CHUNKED + b"1\r\na\r\n0\r\nA: b\r\nEtag: \xe9\t\r\n\r\n", b"a"),
    "Upgrade offered": (
        LINE + b"Upgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 1\r\n\r\na",
        b"a",
    ),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", b"a"),
    "interim replies": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
        + LINE
        + b"Content-Length: 1\r\n\r\na",
        b"a",
    ),
}
