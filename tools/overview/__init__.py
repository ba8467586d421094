"""All generations at a glance: what each environment takes, and what it shares.

Enters: definitions and locks. Leaves: rows and bytes for `//tools:matrix`, and a page for people.
"""
