"""What a model learns from: images with labels, from an embedded dataset, a TFDS name or a folder."""

from convlens.core.faces import attach_face

# The names are in the stub beside this file; each is loaded on first use, so that importing the package stays light.
__getattr__, __dir__, __all__ = attach_face(__name__, __file__)
