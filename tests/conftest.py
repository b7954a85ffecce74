"""The same examples on every run; `--hypothesis-profile search` looks for new ones, and for many more of them."""

import os

from hypothesis import settings

from tui.cli import WAITING

os.environ.setdefault(*WAITING)

settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("search", max_examples=1000, deadline=None)
settings.load_profile("same")
