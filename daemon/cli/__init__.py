"""The commands: reads options and environment variables, calls what they name, prints results.

Enters: a command line. Leaves: text or JSON on standard output, messages on standard error, an exit code.
`main.py` declares each command, `settings.py` has its settings, and the module of its name does its work.
"""
