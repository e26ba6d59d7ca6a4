"""Settings, the command line, and errors of one line."""
