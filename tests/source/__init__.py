"""Wheels and interpreters from sources other than the index: real uv, a real registry, a static tree."""
