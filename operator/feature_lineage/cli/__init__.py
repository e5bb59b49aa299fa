"""The command line. To start quickly, a command imports what it needs when it runs."""
