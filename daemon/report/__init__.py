"""Messages of the daemon: progress and safe text.

Enters: events and values of any package. Leaves: lines of a log, texts without control characters.
"""
