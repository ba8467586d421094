"""A real registry on loopback, what may stand between it and a client, and small images to push."""
