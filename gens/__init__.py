"""Definitions of generations, the matrix of their environments and toolkits, and the checked-in locks."""
