"""What an environment says beyond its files: metadata, start-up, search path, native libraries, host, variables, numbers.

Facts are no part of a snapshot's identity. An aspect that was not collected is None: not known, and never the same as equal.
"""
