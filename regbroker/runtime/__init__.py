"""Small tools over Twisted that know neither HTTP nor registries."""
