"""
Requests that are none, and odd ones that are: by name, as bytes on the wire.

What stands here was collected from RFC 9112 and from what smuggling tools send.
"""

from __future__ import annotations

GET = b"GET /v2/ HTTP/1.1\r\nHost: registry.test\r\n"
POST = b"POST /v2/team/app/blobs/uploads/ HTTP/1.1\r\nHost: registry.test\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"\r\n"

#: Every control character but HTAB and those that end lines.
CONTROLS = [bytes([c]) for c in (*range(1, 9), 11, 12, *range(14, 32), 127)]


def _request_lines() -> dict[str, bytes]:
    lines = {
        "no target": b"GET",
        "no version": b"GET /",
        "empty": b"\r\n",
        "two spaces": b"GET  / HTTP/1.1",
        "two spaces before the version": b"GET /  HTTP/1.1",
        "space at the end": b"GET / HTTP/1.1 ",
        "space at the beginning": b" GET / HTTP/1.1",
        "tabs": b"GET\t/\tHTTP/1.1",
        "space in the target": b"GET /a b HTTP/1.1",
        "control in the target": b"GET /\x01 HTTP/1.1",
        "NUL in the target": b"GET /\x00 HTTP/1.1",
        "NUL in the method": b"G\x00T / HTTP/1.1",
        "no token for a method": b"G(T / HTTP/1.1",
        "colon in the method": b"GET: / HTTP/1.1",
        "empty method": b" / HTTP/1.1",
        "HTTP/0.9": b"GET / HTTP/0.9",
        "HTTP/1.2": b"GET / HTTP/1.2",
        "HTTP/2.0": b"PRI * HTTP/2.0",
        "HTTP/3": b"GET / HTTP/3",
        "HTTP/11": b"GET / HTTP/11",
        "HTTP/1.10": b"GET / HTTP/1.10",
        "HTTP/+1.1": b"GET / HTTP/+1.1",
        "lower case": b"GET / http/1.1",
        "another protocol": b"GET / ICAP/1.1",
        "a comma for a dot": b"GET / HTTP/1,1",
        "a byte too many": b"GET / HTTP/1.1\x00",
        "bare CR": b"GET / HTTP/1.1\rX: y",
        "bare LF": b"GET / HTTP/1.1\nX: y",
        "a reply": b"HTTP/1.1 200 OK",
        "SSH": b"SSH-2.0-OpenSSH_9.2",
        "SMTP": b"EHLO there",
        "RTSP": b"OPTIONS rtsp://a RTSP/1.0",
    }
    return {
        f"request line, {name}": line + b"\r\nHost: a\r\n\r\n"
        for name, line in lines.items()
    }


def _headers() -> dict[str, bytes]:
    lines = {
        "no colon": b"no colon",
        "no name": b": value",
        "space before the colon": b"Name : value",
        "tab before the colon": b"Name\t: value",
        "space in the name": b"Na me: value",
        "NUL in the name": b"Na\x00me: value",
        "control in the name": b"Na\x01me: value",
        "brackets in the name": b"Na(me): value",
        "a quoted name": b'"Name": value',
        "a byte of no ASCII in the name": b"Nam\xe9: value",
        "a slash in the name": b"Na/me: value",
        "folded": b"Name: value\r\n more",
        "folded with a tab": b"Name: value\r\n\tmore",
        "folded at once": b"Name:\r\n value",
        "folded into nothing": b"Name: value\r\n ",
        "folded and no colon": b"Name: value\r\n  \r\nX: y",
        "NUL": b"Name: va\x00lue",
        "NUL alone": b"Name: \x00",
        "bare CR": b"Name: va\rlue",
        "bare CR at the end": b"Name: value\r",
        "bare CR and a header": b"Name: value\rX: y",
        "bare LF": b"Name: va\nlue",
        "bare LF and a header": b"Name: value\nX: y",
        "LF CR": b"Name: value\n\rX: y",
        "bare LF and the end": b"Name: value\n\nGET /x HTTP/1.1",
        "CR CR": b"Name: value\r\rX: y",
    }
    found = {
        f"header, {name}": GET + line + b"\r\n\r\n" for name, line in lines.items()
    }
    for control in CONTROLS:
        code = control.hex()
        found[f"header, {code} inside"] = GET + b"A: b" + control + b"c\r\n\r\n"
        found[f"header, {code} alone"] = GET + b"A:" + control + b"\r\n\r\n"
        found[f"Authorization, {code} last"] = (
            GET + b"Authorization: Basic YTpi" + control + b"\r\n\r\n"
        )
    found["first header, folded"] = b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"
    found["first header, a tab"] = b"GET / HTTP/1.1\r\n\tHost: a\r\n\r\n"
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
        "an underscore": b"Content-Length: 1_0",
        "a dot": b"Content-Length: 3.0",
        "a space": b"Content-Length: 3 0",
        "empty": b"Content-Length:",
        "quoted": b'Content-Length: "3"',
        "other digits": "Content-Length: ٣".encode(),
        "nineteen digits": b"Content-Length: " + b"9" * 19,
        "thousands of digits": b"Content-Length: " + b"9" * 5000,
        "space before the colon": b"Content-Length : 3",
        "and chunked": b"Content-Length: 3\r\nTransfer-Encoding: chunked",
        "after chunked": b"Transfer-Encoding: chunked\r\nContent-Length: 3",
        "of CGI": b"Content-Length: 3\r\nContent_Length: 4",
        "folded away": b"X: y\r\n Content-Length: 3",
    }
    codings = {
        "gzip": b"Transfer-Encoding: gzip",
        "identity": b"Transfer-Encoding: identity",
        "identity and chunked": (
            b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked"
        ),
        "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "chunked and another": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        "a list": b"Transfer-Encoding: gzip, chunked",
        "a list of chunked": b"Transfer-Encoding: chunked, chunked",
        "chunked first": b"Transfer-Encoding: chunked, identity",
        "a longer word": b"Transfer-Encoding: xchunked",
        "a word with more": b"Transfer-Encoding: chunkedx",
        "quoted": b'Transfer-Encoding: "chunked"',
        "with a parameter": b"Transfer-Encoding: chunked;q=1",
        "with a comma": b"Transfer-Encoding: chunked,",
        "a vertical tab": b"Transfer-Encoding: \x0bchunked",
        "a form feed": b"Transfer-Encoding: chunked\x0c",
        "empty": b"Transfer-Encoding:",
        "space before the colon": b"Transfer-Encoding : chunked",
        "folded": b"Transfer-Encoding:\r\n chunked",
        "of CGI": b"Transfer-Encoding: chunked\r\nTransfer_Encoding: chunked",
    }
    found = {
        f"{header}, {name}": POST + lines + b"\r\n\r\nabc"
        for header, cases in (
            ("Content-Length", lengths),
            ("Transfer-Encoding", codings),
        )
        for name, lines in cases.items()
    }
    found["Transfer-Encoding in HTTP/1.0"] = (
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    return found


def _chunks() -> dict[str, bytes]:
    bodies = {
        "no number": b"nonsense\r\n",
        "a prefix": b"0x3\r\nabc\r\n0\r\n\r\n",
        "a sign": b"+3\r\nabc\r\n0\r\n\r\n",
        "negative": b"-3\r\nabc\r\n0\r\n\r\n",
        "an underscore": b"1_0\r\nabc\r\n0\r\n\r\n",
        "a space before": b" 3\r\nabc\r\n0\r\n\r\n",
        "a space after": b"3 \r\nabc\r\n0\r\n\r\n",
        "empty": b"\r\nabc\r\n0\r\n\r\n",
        "bare LF": b"3\nabc\r\n0\r\n\r\n",
        "bare CR": b"3\rabc\r\n0\r\n\r\n",
        "too long": b"3\r\nabcde\r\n0\r\n\r\n",
        "too short": b"3\r\nab\r\n0\r\n\r\n",
        "bare LF at its end": b"3\r\nabc\n0\r\n\r\n",
        "a size without end": b"1" * 2000,
        "NUL in an extension": b"3;a=\x00\r\nabc\r\n0\r\n\r\n",
        "bare LF in an extension": b"3;a=\nb\r\nabc\r\n0\r\n\r\n",
    }
    trailers = {
        "NUL": b"A: \x00",
        "a control": b"A: b\x01c",
        "DEL": b"A: \x7f",
        "bare CR": b"A: b\rc",
        "bare LF": b"A: b\nc",
        "folded": b"A: b\r\n c",
        "folded at once": b" A: b",
        "no colon": b"nonsense",
        "no name": b": b",
        "space before the colon": b"A : b",
        "NUL in the name": b"A\x00: b",
        "a request": b"GET /x HTTP/1.1",
    }
    found = {f"chunk, {name}": CHUNKED + body for name, body in bodies.items()}
    for name, line in trailers.items():
        found[f"trailer, {name}"] = CHUNKED + b"3\r\nabc\r\n0\r\n" + line + b"\r\n\r\n"
    return found


def _repeated() -> dict[str, bytes]:
    values = {
        b"Authorization": (b"Basic YTpi", b"Bearer abc"),
        b"Content-Location": (b"/a", b"/b"),
        b"Content-Range": (b"0-1", b"2-3"),
        b"Content-Type": (b"text/plain", b"application/json"),
        b"Date": (b"Tue, 15 Nov 1994 08:12:31 GMT", b"x"),
        b"ETag": (b'"a"', b'"b"'),
        b"Expect": (b"100-continue", b"100-continue"),
        b"From": (b"a@a.test", b"b@a.test"),
        b"Host": (b"registry.test", b"other.test"),
        b"If-Match": (b'"a"', b'"b"'),
        b"If-Modified-Since": (b"Tue, 15 Nov 1994 08:12:31 GMT", b"x"),
        b"If-None-Match": (b'"a"', b'"b"'),
        b"If-Range": (b'"a"', b'"b"'),
        b"If-Unmodified-Since": (b"Tue, 15 Nov 1994 08:12:31 GMT", b"x"),
        b"Last-Modified": (b"Tue, 15 Nov 1994 08:12:31 GMT", b"x"),
        b"Max-Forwards": (b"1", b"2"),
        b"Proxy-Authorization": (b"Basic YTpi", b"Basic YTpj"),
        b"Range": (b"bytes=0-1", b"bytes=2-3"),
        b"Referer": (b"https://a.test/", b"https://b.test/"),
        b"User-Agent": (b"docker/1", b"docker/2"),
    }
    found = {}
    start = b"GET /v2/ HTTP/1.1\r\n"
    for name, (one, other) in values.items():
        host = b"" if name == b"Host" else b"Host: registry.test\r\n"
        for how, again, second in (
            ("twice", name, other),
            ("the same twice", name, one),
            ("in another case", name.upper(), other),
            ("once empty", name, b""),
        ):
            found[f"{name.decode()}, {how}"] = (
                start + host + name + b": " + one + b"\r\nX: y\r\n"
                + again + b": " + second + b"\r\n\r\n"
            )  # fmt: skip
    found["Content-Type, as CGI has it"] = (
        GET + b"Content-Type: a/b\r\nContent_Type: c/d\r\n\r\n"
    )
    found["Host, and a whole URL"] = (
        b"GET http://registry.test/v2/ HTTP/1.1\r\n"
        b"Host: registry.test\r\nHost: registry.test\r\n\r\n"
    )
    return found


#: Headers that may occur once, given twice, by name: these parse.
REPEATED = _repeated()

#: All that is 400 before anybody is asked, by name.
MALFORMED = {
    **_request_lines(),
    **_headers(),
    **_framing(),
    **_chunks(),
    **REPEATED,
}

#: Odd, but HTTP/1.1 all the same; each is one whole request.
WELL_FORMED = {
    "an empty line first": b"\r\n" + GET + END,
    "no space after the colon": GET + b"A:b\r\n" + END,
    "space around a value": GET + b"A:  b \t \r\n" + END,
    "an empty value": GET + b"A:\r\n" + END,
    "a value of spaces": GET + b"A:   \r\n" + END,
    "a tab in a value": GET + b"A: b\tc\r\n" + END,
    "a colon in a value": GET + b"A: b:c\r\n" + END,
    "bytes of no ASCII in a value": GET + b"A: \xe9\x80\xff\r\n" + END,
    "every character of a token": GET + b"!#$%&'*+-.^_`|~0aZ: b\r\n" + END,
    "names in any case": GET.replace(b"Host", b"hOsT") + END,
    "a list in several lines": GET + b"Accept: a/b\r\nAccept: c/d\r\n" + END,
    "Via in several lines": GET + b"Via: 1.1 a\r\nVia: 1.1 b\r\n" + END,
    "Cache-Control in several lines": (
        GET + b"Cache-Control: no-cache\r\nCache-Control: no-store\r\n" + END
    ),
    "Forwarded in several lines": (
        GET + b"X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\n" + END
    ),
    "a range of ranges": GET + b"Range: bytes=0-1,3-4\r\n" + END,
    "a list of validators": GET + b'If-None-Match: "a", "b"\r\n' + END,
    "length zero": GET + b"Content-Length: 0\r\n" + END,
    "length with zeros": POST + b"Content-Length: 0003\r\n" + END + b"abc",
    "chunked in any case": POST
    + b"Transfer-Encoding: Chunked\r\n"
    + END
    + b"0\r\n\r\n",
    "a chunk extension": CHUNKED + b'3;a="b;c"\r\nabc\r\n0\r\n\r\n',
    "capitals in a size": CHUNKED + b"0A\r\n0123456789\r\n0\r\n\r\n",
    "trailers": CHUNKED + b"3\r\nabc\r\n0\r\nA: b\r\nEtag: \xe9\t\r\nC:\r\n\r\n",
    "another method": GET.replace(b"GET", b"brew") + END,
    "a whole URL": GET.replace(b"/v2/", b"http://registry.test/v2/") + END,
    "a star": GET.replace(b"GET /v2/", b"OPTIONS *") + END,
    "HTTP/1.0": GET.replace(b"HTTP/1.1", b"HTTP/1.0") + END,
}
