"""Seeds to pictures. Imports no training."""

from zerosum.generate.generator import Generator, load, parse_seeds, sample_sheet

__all__ = ["Generator", "load", "parse_seeds", "sample_sheet"]
