"""Train a convolutional image classifier, then see what it learned."""

import lazy_loader

# The names are in the stub beside this file; each is loaded on first use, so that importing convlens stays light.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
