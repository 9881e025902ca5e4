"""Accounts that issuers vouch for: JWTs of OpenID Connect, verified here."""
