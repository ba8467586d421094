"""Installs generations: plan, fetch, link, compile, lay out, seal.

Enters: the locks of the active generations. Leaves: environments and toolkits on the prefix, generations that
are sealed when they are complete.
"""
