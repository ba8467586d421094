"""The service over a fake prefix, for unit tests of its parts: no process, no uv, no network.

Enters: a prefix of `tests/fake_prefix`. Leaves: a `ServiceContext` whose log can be read.
"""
