"""What runs on a node: plan, fetch, link, compile, lay out, seal; verify and status."""
