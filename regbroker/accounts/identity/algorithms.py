"""The algorithms of signatures that are taken (RFC 7518, 3.1; RFC 8037, 3.1)."""

from __future__ import annotations

#: What a key of each curve signs with (RFC 7518, 3.4).
CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}

RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")

#: Those that a section may name. ``none`` and HMAC are not among them: nobody has
#: signed then, or whoever can verify could have.
ALGORITHMS = (*RSA_ALGORITHMS, *CURVES.values(), "EdDSA")

#: What issuers use.
DEFAULT_ALGORITHMS = ("RS256", "ES256", "EdDSA")
