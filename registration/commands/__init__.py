"""The subcommands. Each is imported when it is called, and calls the library; nothing else happens here."""
