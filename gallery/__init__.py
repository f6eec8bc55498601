"""From a network and its images to figures: one module a topic, and a registry of all figures by name.

It knows every package, as the scripts do; no package knows it. Keras and Matplotlib are imported when it draws.
"""

from convlens.core.faces import attach_face

# The names are in the stub beside this file; each is loaded on first use, so that importing the package stays light.
__getattr__, __dir__, __all__ = attach_face(__name__, __file__)
