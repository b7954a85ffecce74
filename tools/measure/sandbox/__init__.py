"""Cells that run untrusted programs, and a tester they cannot talk to otherwise than by answering.

(docstring follows)
"""

from tools.measure.sandbox.cells import Job, Limits, Outcome, Sandbox, tier_here

__all__ = ["Job", "Limits", "Outcome", "Sandbox", "tier_here"]
