"""Mirrors of synthetic generations: in folders, archives and a real registry, and what installs from them."""
