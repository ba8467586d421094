"""What can go wrong on a node, done to a real installer."""
