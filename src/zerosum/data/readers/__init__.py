"""One reader for each kind of file: each turns a path or an address into a ``Source``."""
