"""Real requirement sets of models: locked, installed as layers, and imported in the runtime's image."""
