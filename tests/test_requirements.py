"""Each requirement says from which version on it is good: noxfile.py tests these."""

import re
from configparser import ConfigParser
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[1]


class RequirementTests(SynchronousTestCase):
    def requirements(self) -> list[str]:
        """What regbroker needs where it is installed, a line each."""
        metadata = ConfigParser()
        metadata.read(ROOT / "setup.cfg")
        text = metadata["options"]["install_requires"]
        for extra in ("ldap", "cel"):
            text += metadata["options.extras_require"][extra]
        lines = (line.strip() for line in text.splitlines())
        return [line for line in lines if line and not line.startswith("#")]

    def test_lower_bounds(self) -> None:
        """None is without a lower bound, unless its line is only an upper bound."""
        without = [
            line for line in self.requirements() if not re.search(r"[<>]=?\d", line)
        ]
        self.assertEqual(without, [])
        names = {
            re.split(r"[\[<>=]", line)[0]
            for line in self.requirements()
            if ">=" in line
        }
        self.assertGreater(len(names), 8)

    def test_imported(self) -> None:
        """Distributions whose modules regbroker imports are required by name."""
        modules = {
            "OpenSSL": "pyopenssl",
            "bcrypt": "bcrypt",
            "celpy": "cel-python",
            "cryptography": "cryptography",
            "httptools": "httptools",
            "jwt": "PyJWT",
            "ldaptor": "ldaptor",
            "passlib": "libpass",
            "publicsuffixlist": "publicsuffixlist",
            "service_identity": "service-identity",
            "treq": "treq",
        }
        text = "\n".join(self.requirements())
        source = "\n".join(
            path.read_text(encoding="utf-8")
            for path in (ROOT / "regbroker").rglob("*.py")
        )
        for module, distribution in modules.items():
            if re.search(rf"^\s*(?:import|from) {module}\b", source, re.MULTILINE):
                self.assertRegex(text, rf"(?m)^{distribution}>=")
