"""The headline benchmark: from an image or environment that a node lacks to `import torch` done."""
