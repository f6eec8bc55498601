"""What a model learns from: images with labels, from an embedded dataset, a TFDS name or a folder."""

import lazy_loader

# The names are in the stub beside this file; each is loaded on first use, so that importing the package stays light.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
