"""
The errors that a registry has and a proxy has not, with their OCI codes.

Statuses are those of distribution, which clients were written against.
"""

from __future__ import annotations

from regbroker.errors import ClientError


class BlobUnknown(ClientError):
    """The repository holds no such blob."""

    status = 404
    code = "BLOB_UNKNOWN"


class ManifestUnknown(ClientError):
    """The repository holds no such manifest or tag."""

    status = 404
    code = "MANIFEST_UNKNOWN"


class ManifestInvalid(ClientError):
    """The manifest cannot be understood."""

    code = "MANIFEST_INVALID"


class ManifestBlobUnknown(ClientError):
    """The manifest refers to something that the repository does not hold."""

    code = "MANIFEST_BLOB_UNKNOWN"


class UploadRangeInvalid(ClientError):
    """The chunk does not continue the upload; `headers` says where it stands."""

    status = 416
    code = "BLOB_UPLOAD_INVALID"


class PageInvalid(ClientError):
    """The number of entries asked for is not a number."""

    code = "PAGINATION_NUMBER_INVALID"
