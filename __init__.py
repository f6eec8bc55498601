"""Train a convolutional image classifier, then see what it learned."""

from convlens.core.faces import attach_face

# The names are in the stub beside this file; each is loaded on first use, so that importing convlens stays light.
__getattr__, __dir__, __all__ = attach_face(__name__, __file__)
