"""The program that runs on a node: installs, verifies, repairs, prunes and serves."""
