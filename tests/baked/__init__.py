"""Images with an environment in them, made of synthetic wheels and an interpreter of this machine."""
