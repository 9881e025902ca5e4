"""How `make docs` makes a site of these pages: Sphinx, with MyST for Markdown."""

from regbroker import __version__

project = "regbroker"
author = "The regbroker authors"
copyright = author
release = version = __version__

extensions = ["myst_parser"]
root_doc = "index"
# a reader of the plain files gets the same anchors from most viewers
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"regbroker {release}"
# Nothing is asked of other hosts: the site can be read where there is no network.
html_copy_source = False
html_show_sourcelink = False
