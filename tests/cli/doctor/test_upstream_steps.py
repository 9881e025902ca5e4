"""What of an upstream's section counts when it is examined."""

from __future__ import annotations

from regbroker.cli.doctor.upstream_steps import examine_upstream
from regbroker.cli.doctor.visit import Wanted
from regbroker.protocol.origins import parse_origin
from regbroker.settings.config import UpstreamConfig
from tests.certificates import issued
from tests.doctorcase import DoctorCase, Fake, reactor


class UpstreamStepsTests(DoctorCase):
    async def test_section(self) -> None:
        """Its path, its CA file and its own realm are used."""
        fake = Fake(realm="https://elsewhere.test/token")
        port = self.listen(fake.answer, issued("localhost"))
        upstream = UpstreamConfig(
            name="up",
            origin=parse_origin("https", f"localhost:{port}"),
            base_path="/base",
            ca_file=self.ca_file,
            realm=f"https://localhost:{port}/token",
            service="written",
        )
        steps = await examine_upstream(reactor, upstream, Wanted(), 5.0)
        self.assertEqual([step for step in steps if step.trouble], [])
        self.assertEqual(
            [target for target, _ in self.requests],
            ["/base/v2/", "/token?service=written"],
        )
        self.assertEqual(
            {step.side for step in steps}, {f"[upstream up] {upstream.url}"}
        )
