"""Blobs as clients pull and push them."""

import os
from hashlib import sha512
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.sandboxcase import ALL, EMPTY, Reply, SandboxTestCase, digest_of


class BlobTests(SandboxTestCase):
    async def test_download(self) -> None:
        """GET sends the bytes, HEAD the same headers without them."""
        token = await self.token(ALL)
        data = os.urandom(1_000_000)
        path = f"/v2/a/b/blobs/{await self.push_blob('a/b', data, token)}"
        got = await self.ask("GET", path, None, token)
        self.assertEqual((got.status, got.body), (200, data))
        head = await self.ask("HEAD", path, None, token)
        self.assertEqual((head.status, head.body), (200, b""))
        client = await self.raw_request("HEAD", path, token)
        await self.until(lambda: client.data.endswith(b"\r\n\r\n"))
        self.assertEqual(got.length, 1_000_000)
        self.assertIn(b"\r\nContent-Length: 1000000\r\n", client.data)
        for reply in (got, head):
            self.assertEqual(reply.header("Content-Type"), "application/octet-stream")
            self.assertEqual(reply.header("Docker-Content-Digest"), digest_of(data))
            self.assertEqual(reply.header("ETag"), f'"{digest_of(data)}"')
        reply = await self.ask(
            "GET", path, None, token, If_None_Match=f'"{digest_of(data)}"'
        )
        self.assertEqual((reply.status, reply.body), (304, b""))

    async def test_ranges(self) -> None:
        """Parts of a blob: what docker resumes with."""
        token = await self.token(ALL)
        path = f"/v2/a/b/blobs/{await self.push_blob('a/b', b'0123456789', token)}"
        for wanted, status, body, content_range in (
            ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
            ("bytes=7-", 206, b"789", "bytes 7-9/10"),
            ("bytes=-2", 206, b"89", "bytes 8-9/10"),
            ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
            ("bytes=4-2", 200, b"0123456789", None),
            ("lines=1-2", 200, b"0123456789", None),
            ("bytes=-", 200, b"0123456789", None),
            ("bytes=-11", 200, b"0123456789", None),
            ("bytes=0-1,-11", 200, b"0123456789", None),
            (b"\xff", 200, b"0123456789", None),
        ):
            reply = await self.ask("GET", path, None, token, Range=wanted)
            self.assertEqual(
                (reply.status, reply.body, reply.header("Content-Range")),
                (status, body, content_range),
            )
        for wanted in ("bytes=10-", "bytes=-0"):
            reply = await self.ask("GET", path, None, token, Range=wanted)
            self.assertEqual(reply.status, 416)
            self.assertEqual(reply.header("Content-Range"), "bytes */10")

    async def test_unknown(self) -> None:
        """What the repository does not hold is unknown."""
        token = await self.token(ALL)
        for digest in (EMPTY, "md5:abc", "sha256:" + "0" * 500):
            reply = await self.ask("GET", f"/v2/a/b/blobs/{digest}", None, token)
            self.assertEqual((reply.status, reply.code()), (404, "BLOB_UNKNOWN"))
        reply = await self.ask("GET", "/v2/a/b/blobs/abc", None, token)
        self.assertEqual((reply.status, reply.code()), (400, "DIGEST_INVALID"))

    async def test_delete(self) -> None:
        """A deleted blob is gone; an empty one is a blob as well."""
        token = await self.token(ALL)
        path = f"/v2/a/b/blobs/{await self.push_blob('a/b', b'', token)}"
        reply = await self.ask("GET", path, None, token)
        self.assertEqual((reply.status, reply.length), (200, 0))
        self.assertEqual((await self.ask("DELETE", path, None, token)).status, 202)
        self.assertEqual((await self.ask("DELETE", path, None, token)).status, 404)

    async def test_client_goes_away(self) -> None:
        """A download that nobody takes any more is given up; its file is closed."""
        token = await self.token(ALL)
        digest = await self.push_blob("a/b", bytes(20_000_000), token)
        client = await self.raw_request("GET", f"/v2/a/b/blobs/{digest}", token)
        await self.until(lambda: client.received)
        self.assertIn(digest.partition(":")[2], " ".join(open_files()))
        client.transport.abortConnection()
        await self.until(lambda: digest.partition(":")[2] not in " ".join(open_files()))

    async def test_backpressure(self) -> None:
        """A client that does not read stops the reading of the file."""
        token = await self.token(ALL)
        size = 50_000_000
        digest = await self.push_blob("a/b", bytes(size), token)
        client = await self.raw_request("GET", f"/v2/a/b/blobs/{digest}", token)
        await self.until(lambda: client.received)
        client.transport.pauseProducing()
        # Meanwhile another client, which reads, gets all of it.
        got = await self.ask("GET", f"/v2/a/b/blobs/{digest}", None, token)
        self.assertEqual(len(got.body), size)
        self.assertLess(file_position(digest.partition(":")[2]), size // 2)
        client.transport.resumeProducing()
        await self.until(lambda: client.received >= size)

    async def raw_request(self, method: str, path: str, token: str) -> Any:
        return await self.raw(
            f"{method} {path} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {token}\r\n\r\n",
        )


class UploadTests(SandboxTestCase):
    def uploads(self) -> list[Path]:
        """The files of the uploads under way."""
        return list((self.directory / "images").rglob("_uploads/*"))

    async def start_upload(self, token: str) -> str:
        reply = await self.ask("POST", "/v2/a/b/blobs/uploads/", b"", token)
        self.assertEqual(reply.status, 202)
        location = self.location(reply)
        id = reply.header("Docker-Upload-UUID")
        self.assertTrue(location.startswith(f"/v2/a/b/blobs/uploads/{id}?_state="))
        self.assertEqual(reply.header("Range"), "0-0")
        return location

    def location(self, reply: Reply) -> str:
        location = reply.header("Location")
        assert location is not None
        return location

    async def test_streamed(self) -> None:
        """POST, PATCH without a range, PUT without a body: what docker does."""
        token = await self.token(ALL)
        data = os.urandom(300_000)
        location = await self.start_upload(token)
        reply = await self.ask("PATCH", location, data, token)
        self.assertEqual((reply.status, reply.header("Range")), (202, "0-299999"))
        self.assertEqual(reply.length, 0)
        location = self.location(reply)
        digest = quote(digest_of(data))
        reply = await self.ask("PUT", f"{location}&digest={digest}", b"", token)
        self.assertEqual(reply.status, 201)
        self.assertEqual(reply.header("Docker-Content-Digest"), digest_of(data))
        reply = await self.ask("GET", self.location(reply), None, token)
        self.assertEqual(reply.body, data)
        reply = await self.ask("GET", location, None, token)
        self.assertEqual((reply.status, reply.code()), (404, "BLOB_UPLOAD_UNKNOWN"))

    async def test_post_then_put(self) -> None:
        """The whole blob in the PUT: what oras does; with SHA-512 too."""
        token = await self.token(ALL)
        for digest in (digest_of(b"layer"), "sha512:" + sha512(b"layer").hexdigest()):
            location = await self.start_upload(token)
            path = f"{location}&digest={digest}"
            reply = await self.ask("PUT", path, b"layer", token)
            self.assertEqual(reply.status, 201)
            reply = await self.ask("GET", f"/v2/a/b/blobs/{digest}", None, token)
            self.assertEqual(reply.body, b"layer")

    async def test_chunks(self) -> None:
        """Chunks must follow each other; 416 says where the upload stands."""
        token = await self.token(ALL)
        location = await self.start_upload(token)
        reply = await self.ask("PATCH", location, b"01234", token, Content_Range="0-4")
        self.assertEqual((reply.status, reply.header("Range")), (202, "0-4"))
        for given in (
            *("0-4", "6-10", "5-8", "9-5", "nonsense", "5-" + "9" * 5000),
            b"\xff",
        ):
            reply = await self.ask(
                "PATCH", location, b"56789", token, Content_Range=given
            )
            self.assertEqual((reply.status, reply.header("Range")), (416, "0-4"))
            self.assertEqual(reply.code(), "BLOB_UPLOAD_INVALID")
            self.location(reply)
        reply = await self.ask("GET", location, None, token)
        self.assertEqual((reply.status, reply.header("Range")), (204, "0-4"))
        reply = await self.ask(
            "PUT",
            f"{self.location(reply)}&digest={digest_of(b'0123456789')}",
            b"56789",
            token,
            Content_Range="5-9",
        )
        self.assertEqual(reply.status, 201)

    async def test_resumed_after_restart(self) -> None:
        """Upload and Location outlive the process."""
        location = await self.start_upload(await self.token(ALL))
        token = await self.token(ALL)
        await self.ask("PATCH", location, b"first", token)
        await self.restart()
        token = await self.token(ALL)
        digest = digest_of(b"first, second")
        reply = await self.ask("PUT", f"{location}&digest={digest}", b", second", token)
        self.assertEqual(reply.status, 201)
        await self.restart()
        token = await self.token(ALL)
        reply = await self.ask("GET", f"/v2/a/b/blobs/{digest}", None, token)
        self.assertEqual(reply.body, b"first, second")

    async def test_wrong_digest(self) -> None:
        """Bytes that are others than announced are no blob, and no upload any more."""
        token = await self.token(ALL)
        location = await self.start_upload(token)
        reply = await self.ask("PUT", f"{location}&digest={EMPTY}", b"data", token)
        self.assertEqual((reply.status, reply.code()), (400, "DIGEST_INVALID"))
        self.assertEqual(self.uploads(), [])
        reply = await self.ask("GET", location, None, token)
        self.assertEqual(reply.status, 404)
        reply = await self.ask("PUT", await self.start_upload(token), b"data", token)
        self.assertEqual((reply.status, reply.code()), (400, "DIGEST_INVALID"))

    async def test_cancel(self) -> None:
        """A cancelled upload is unknown."""
        token = await self.token(ALL)
        location = await self.start_upload(token)
        self.assertEqual((await self.ask("DELETE", location, None, token)).status, 204)
        self.assertEqual((await self.ask("PATCH", location, b"x", token)).status, 404)

    async def test_state(self) -> None:
        """A Location is good as it is, and not for another repository."""
        token = await self.token(ALL, "repository:c:pull,push")
        location = await self.start_upload(token)
        without = location.partition("?")[0]
        for other in (without, location[:-10], location.replace("/a/b/", "/c/")):
            reply = await self.ask("PATCH", other, b"data", token)
            self.assertEqual((reply.status, reply.code()), (404, "BLOB_UPLOAD_UNKNOWN"))

    async def test_mount(self) -> None:
        """
        A mount needs the blob, and pull on where it is; else it is an upload.

        A client that could have asked for that right is told so once.
        """
        digest = await self.push_blob("a/b", b"layer", await self.token(ALL))
        both = await self.token("repository:c:pull,push", "repository:a/b:pull")
        only = await self.token("repository:c:pull,push")
        path = "/v2/c/blobs/uploads/?from={}&mount={}"
        for token, source, mounted, status in (
            (only, "a/b", digest, 401),
            (only, "a/b", digest, 202),
            (both, "a/b", EMPTY, 202),
            (both, "C", digest, 202),
            (both, "a/b", digest, 201),
        ):
            reply = await self.ask("POST", path.format(source, mounted), b"", token)
            self.assertEqual(reply.status, status)
        self.assertEqual(reply.header("Location"), f"/v2/c/blobs/{digest}")
        reply = await self.ask("GET", f"/v2/c/blobs/{digest}", None, both)
        self.assertEqual(reply.body, b"layer")

    async def test_client_goes_away(self) -> None:
        """
        An upload that breaks off is no blob, and goes on from where it broke.

        Nothing is logged as an error.
        """
        token = await self.token(ALL)
        location = await self.start_upload(token)
        data = bytes(100_000)
        digest = digest_of(data)
        client = await self.raw(
            f"PATCH {location} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {token}\r\nContent-Length: 100000\r\n\r\n",
        )
        client.transport.write(data[:60_000])
        await self.until(lambda: open_files("_uploads"))
        client.transport.loseConnection()
        await self.until(lambda: not open_files("_uploads"))
        reply = await self.ask("GET", f"/v2/a/b/blobs/{digest}", None, token)
        self.assertEqual(reply.status, 404)
        self.assertEqual(len(self.uploads()), 1)
        reply = await self.ask("GET", location, None, token)
        self.assertEqual(reply.header("Range"), "0-59999")
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_refused_early(self) -> None:
        """A client that waits with its body is refused before it sends it."""
        client = await self.raw(
            "PATCH /v2/a/b/blobs/uploads/x HTTP/1.1\r\nHost: x\r\n"
            "Expect: 100-continue\r\nContent-Length: 10000000\r\n\r\n",
        )
        await self.until(lambda: client.data.endswith(b"}\n"))
        self.assertTrue(client.data.startswith(b"HTTP/1.1 401 "), client.data)

    async def test_full_disk(self) -> None:
        """A write that fails is said, and logged."""
        token = await self.token(ALL)
        location = await self.start_upload(token)
        (data,) = self.uploads()
        data.unlink()
        data.symlink_to("/dev/full")
        reply = await self.ask("PATCH", location, bytes(200_000), token)
        self.assertEqual((reply.status, reply.code()), (500, "UNKNOWN"))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)


def open_files(part: str = "") -> list[str]:
    """The files that this process has open whose path contains `part`."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            path = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
        if f"/{part}" in path and path.startswith(os.getcwd()):
            found.append(path)
    return found


def file_position(part: str) -> int:
    """How far this process has read in the file whose path contains `part`."""
    for name in os.listdir("/proc/self/fd"):
        if part in os.readlink(f"/proc/self/fd/{name}"):
            information = Path(f"/proc/self/fdinfo/{name}").read_text()
            return int(information.split()[1])
    raise AssertionError("no such file is open")
