"""The errors of a registry, as clients know them."""

from twisted.trial.unittest import SynchronousTestCase

from regbroker.errors import ClientError
from regbroker.sandbox import refusals


class RefusalTests(SynchronousTestCase):
    def test_codes(self) -> None:
        """Each has the status and the code that distribution has."""
        found = {
            (kind.code, kind.status)
            for kind in vars(refusals).values()
            if isinstance(kind, type) and issubclass(kind, ClientError)
            if kind is not ClientError
        }
        self.assertEqual(
            found,
            {
                ("BLOB_UNKNOWN", 404),
                ("MANIFEST_UNKNOWN", 404),
                ("MANIFEST_INVALID", 400),
                ("MANIFEST_BLOB_UNKNOWN", 400),
                ("BLOB_UPLOAD_INVALID", 416),
                ("PAGINATION_NUMBER_INVALID", 400),
            },
        )
