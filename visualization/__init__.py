"""How what was learned looks: arrays in, Matplotlib figures (or plain uint8 arrays) out.

Names are loaded on first use, so that a caller of `kernel_tiles` and `map_tiles` does not wait for Matplotlib.
"""

from convlens.core.faces import attach_face

# The names are in the stub beside this file; each is loaded on first use, so that importing the package stays light.
__getattr__, __dir__, __all__ = attach_face(__name__, __file__)
