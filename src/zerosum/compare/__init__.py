"""``zerosum compare``: runs side by side, over their seeds, and whether what differs is more than chance."""

from zerosum.compare.groups import Group, Key, label
from zerosum.compare.plot import plot
from zerosum.compare.table import Comparison, chosen, compare, table

__all__ = ["Comparison", "Group", "Key", "chosen", "compare", "label", "plot", "table"]
