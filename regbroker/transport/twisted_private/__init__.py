"""
What regbroker uses of Twisted though it is private there.

These are the only modules that touch private modules and names of Twisted. Here they
get public names, so that the rest of regbroker does not depend on how Twisted calls
them. Any release of Twisted may change them: setup.cfg has the upper bound, and
`tests/transport/twisted_private` shows for each name what regbroker relies on.
`tests/test_private_names.py` fails where another module uses such a name.
"""
