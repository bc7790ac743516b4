"""Reports as people and machines read them: one renderer a module, each a function of reports. No I/O but reading own assets."""
