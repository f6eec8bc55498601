"""How what was learned looks: arrays in, Matplotlib figures (or plain uint8 arrays) out.

Names are loaded on first use, so that a caller of `kernel_tiles` and `map_tiles` does not wait for Matplotlib.
"""

import lazy_loader

# The names are in the stub beside this file; each is loaded on first use, so that importing the package stays light.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
