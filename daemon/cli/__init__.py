"""The commands: reads options and environment variables, calls what they name, prints results.

Enters: a command line. Leaves: text or JSON on standard output, messages on standard error, an exit code.
"""
