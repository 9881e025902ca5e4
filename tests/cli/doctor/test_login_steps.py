"""The ping, what it is challenged with, and the token."""

from __future__ import annotations

from regbroker.cli.doctor.examiner import Examiner
from regbroker.cli.doctor.login_steps import authorize, ping
from regbroker.cli.doctor.visit import Headers, Side, Visit, Wanted
from regbroker.protocol.origins import Origin
from regbroker.upstream.credentials import Login
from tests.doctorcase import ALICE, DoctorCase, Fake, reactor, token


class LoginStepsTests(DoctorCase):
    async def logged_in(self, fake: Fake, wanted: Wanted) -> tuple[Visit, Headers]:
        """A visit after its login, and the headers for what comes next."""
        origin = Origin("http", "localhost", self.listen(fake.answer))
        if fake.realm:
            fake.realm = f"{origin}/token?x=1"
        side = Side(origin=origin, where="WHERE", section="[section]")
        visit = Visit(Examiner(reactor, "side", 5.0), side, wanted)
        await visit.reach(origin, "WHERE")
        return visit, await authorize(visit, await ping(visit))

    async def test_bearer(self) -> None:
        """The scope that is wanted, and the token that comes for it."""
        wanted = Wanted(name="acme/app", login=ALICE)
        _, headers = await self.logged_in(Fake(realm="yes"), wanted)
        self.assertEqual(headers, (("Authorization", f"Bearer {token('pull')}"),))
        self.assertEqual(
            self.requests[-1][0],
            "/token?x=1&service=reg&scope=repository%3Aacme%2Fapp%3Apull",
        )

    async def test_nobody(self) -> None:
        """Where everybody may come in, nothing is brought."""
        visit, headers = await self.logged_in(Fake(), Wanted(login=ALICE))
        self.assertEqual(headers, ())
        self.assertIn("everybody may come in", visit.examiner.steps[-1].seen)

    async def test_basic(self) -> None:
        """Basic is shown to the ping; without a login nothing is."""
        challenge = {"WWW-Authenticate": 'Basic realm="x"'}
        fake = Fake(answers={"/v2/": (401, challenge, b"")})
        _, headers = await self.logged_in(fake, Wanted())
        self.assertEqual(headers, ())
        self.assertEqual(len(self.requests), 1)

    async def test_user_of_any_bytes(self) -> None:
        """A user's name goes out byte for byte, as clients send it."""
        user = b"\xff".decode("utf-8", "surrogateescape")
        wanted = Wanted(name="acme/app", login=Login(user, "x"))
        await self.logged_in(Fake(realm="yes"), wanted)
        target, headers = self.requests[-1]
        self.assertIn("/token", target)
        self.assertEqual(headers["Authorization"], "Basic /zp4")
