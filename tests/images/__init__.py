"""The images in a container engine, and the way from a build to a model on a node."""
