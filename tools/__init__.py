"""What an operator runs at a desk: update, diff, matrix."""
