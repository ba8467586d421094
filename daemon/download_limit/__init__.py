"""Limits the rate of uv's downloads by a proxy on loopback.

Enters: a rate, and the machine's variables that name proxies. Leaves: the URL of the limiting proxy, and the
variables that make uv use it.
"""
