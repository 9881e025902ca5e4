"""Where options say that regbroker listens."""

from regbroker.settings.endpoints import admin_listeners, listener, listeners
from regbroker.settings.invalid import InvalidValue
from tests.settings.test_values import ValueCase


class EndpointTests(ValueCase):
    def test_admin_listeners(self) -> None:
        """Loopback unless it says otherwise; a unix socket is for its group."""
        for line, endpoint in (
            ("tcp:9180", "tcp:9180:interface=127.0.0.1"),
            ("tcp:9180:interface=127.0.0.2", "tcp:9180:interface=127.0.0.2"),
            (r"tcp:9180:interface=\:\:1", r"tcp:9180:interface=\:\:1"),
            ("public:tcp:9180", "tcp:9180"),
            ("public:tcp:9180:interface=10.0.0.5", "tcp:9180:interface=10.0.0.5"),
            ("unix:/run/admin.sock", "unix:/run/admin.sock:mode=660"),
            ("unix:/run/admin.sock:mode=666", "unix:/run/admin.sock:mode=666"),
            ("systemd:domain=INET:index=1", "systemd:domain=INET:index=1"),
        ):
            (found,) = admin_listeners(line)
            self.assertEqual((found.text, found.endpoint), (line, endpoint))
            self.assertFalse(found.tls or found.proxy_protocol)
        two = admin_listeners("tcp:9180\nunix:/run/admin.sock")
        self.assertEqual(len(two), 2)
        self.assert_refused(
            admin_listeners,
            "tcp:9180:interface=0.0.0.0",
            "tcp:9180:interface=10.0.0.5",
            r"tcp:9180:interface=\:\:",
            "tcp:9180:interface=host.test",
            "9180",
            "tls:9180",
            "proxy:tcp:9180",
            "public:tls:9180",
            "udp:9180",
        )
        with self.assertRaisesRegex(InvalidValue, "write public:tcp:9180:interface="):
            admin_listeners("tcp:9180:interface=0.0.0.0")

    def test_arguments(self) -> None:
        """What stands behind a port or a path, in words without Python's own."""
        for line, words in (
            ("tls:8443:[::1]", r"write tls:8443:interface=\\:\\:1"),
            ("tcp:8443:127.0.0.1", "write tcp:8443:interface=127.0.0.1"),
            ("tcp:::1:8080", r"write tcp:8080:interface=\\:\\:1"),
            ("::1:8443", r"write tls:8443:interface=\\:\\:1"),
            ("tcp:0:interfce=x", "at 'interfce=x'; there may be interface=ADDRESS, ba"),
            ("tcp:0:backlog=x", "at 'backlog=x'; there may be"),
            ("tcp:0:backlog=-1", "at 'backlog=-1'"),
            ("tcp:0:interface", "at 'interface'"),
            ("tls:unix:/s:modee=660", "at 'modee=660'; there may be mode=660"),
            ("unix:/s:lockfile=no", "at 'lockfile=no'"),
        ):
            with self.assertRaisesRegex(InvalidValue, words, msg=line):
                listener(line)
        for line, words in (
            ("9180", "'9180': write tcp:9180$"),
            ("foo", "write tcp:PORT, unix:PATH, or systemd:domain=INET:index=0$"),
            ("[::1]:9180", r"write tcp:9180:interface=\\:\\:1"),
            ("127.0.0.1:9180", "write tcp:9180:interface=127.0.0.1"),
        ):
            with self.assertRaisesRegex(InvalidValue, words, msg=line):
                admin_listeners(line)
        for line in ("unix:/s:mode=660:backlog=7:lockfile=0", "tcp:0:interface=a.test"):
            self.assertEqual(listener(line).endpoint, line)

    def test_redirect(self) -> None:
        """A port, with an interface or behind a PROXY line, and without TLS."""
        for line, endpoint in (
            ("redirect:80", "tcp:80"),
            ("redirect:80:interface=127.0.0.1", "tcp:80:interface=127.0.0.1"),
            ("redirect:systemd:domain=INET:index=1", "systemd:domain=INET:index=1"),
        ):
            found = listener(line)
            self.assertEqual((found.text, found.endpoint), (line, endpoint))
            self.assertTrue(found.redirects)
            self.assertFalse(found.tls)
        self.assertTrue(listener("proxy:redirect:80").proxy_protocol)
        self.assert_refused(listener, "redirect:", "redirect:http", "redirect:tls:80")
        self.assert_refused(admin_listeners, "redirect:80")

    def test_owner(self) -> None:
        """Whose a socket is stands behind its path; Twisted knows only the mode."""
        found = listener("tls:unix:/run/s:mode=660:user=nobody:group=www-data")
        self.assertEqual(found.endpoint, "unix:/run/s:mode=660")
        self.assertEqual((found.user, found.group), ("nobody", "www-data"))
        (admin,) = admin_listeners("unix:/run/a:group=adm")
        self.assertEqual((admin.endpoint, admin.group), ("unix:/run/a:mode=660", "adm"))
        self.assert_refused(
            listener,
            "unix:/s:user=",
            "unix:/s:user=a:user=b",
            "unix:/s:mode=rw",
            "unix:/s:mode=6",
            "unix:/s:mode=999",
        )

    def test_socket_path(self) -> None:
        """The kernel has room for 107 bytes; another character may have several."""
        for path in ("/" + "a" * 106, "/" + "é" * 53, "/a\\:" + "b" * 104):
            self.assertEqual(listener(f"unix:{path}").endpoint, f"unix:{path}")
        with self.assertRaisesRegex(InvalidValue, "'tls:unix:/aa.*107 bytes at most"):
            listener("tls:unix:/" + "a" * 107)
        self.assert_refused(listener, "unix:/" + "é" * 54)
        self.assert_refused(admin_listeners, "unix:/" + "a" * 107)

    def test_ipv6(self) -> None:
        """Colons have backslashes, and there are no brackets."""
        for line in (
            r"tls:443:interface=\:\:1",
            r"tls:443:backlog=9:interface=2001\:db8\:\:1",
            r"tls:443:interface=fe80\:\:1%eth0",
        ):
            self.assertEqual(listener(line).text, line)
        for line in (
            "tls:443:interface=::1",
            "tls:443:interface=[::1]:backlog=9",
            r"tls:443:interface=[\:\:1]",
        ):
            with self.assertRaises(InvalidValue) as caught:
                listener(line)
            self.assertIn(r"write interface=\:\:1", str(caught.exception))

    def test_habits(self) -> None:
        """What is written for other servers is told with what to write here."""
        for line, wanted in (
            ("tls:[::]:443", r"tls:443:interface=\:\:"),
            ("tcp:[::1]:80", r"tcp:80:interface=\:\:1"),
            ("redirect:0.0.0.0:80", "redirect:80:interface=0.0.0.0"),
            ("127.0.0.1:8443", "tls:8443:interface=127.0.0.1"),
            ("[::]:443 ssl", r"tls:443:interface=\:\:"),
            ("*:443", "tls:443"),
            ("tls:443:http2", "take http2 out"),
            ("443 ssl http2", "take http2 out"),
            ("tls:443, tcp:80", "a line of its own: tls:443 and tcp:80"),
            ("tls:443,redirect:80", "a line of its own: tls:443 and redirect:80"),
        ):
            with self.assertRaises(InvalidValue) as caught:
                listeners(line)
            self.assertIn(wanted, str(caught.exception))
        # It can be a part of a path.
        self.assertEqual(listener("unix:/run/a,b").endpoint, "unix:/run/a,b")
