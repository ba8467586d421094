"""What there is to install: definitions, the matrix they span, and the checked-in locks."""
