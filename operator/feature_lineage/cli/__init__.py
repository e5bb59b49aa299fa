"""The command line: thin, and quick to start; what a command needs is imported when it runs."""
