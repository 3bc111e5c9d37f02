"""A local page that follows the runs of a folder. Importing it needs nothing that the page itself needs."""

from zerosum.report.live.serving import serve

__all__ = ["serve"]
