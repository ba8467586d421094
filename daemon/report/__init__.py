"""Messages of the daemon: progress, safe text, and redaction of passwords.

Enters: events and values of any package. Leaves: lines of a log, texts without control characters, texts
without passwords.
"""
