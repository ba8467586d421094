"""Limits what uv downloads: a proxy on loopback with one rate for all connections.

Enters: a rate, and the machine's variables that name proxies. Leaves: the variables that make uv go through
this one.
"""
