"""From a network and its images to figures: one module a topic, and a registry of all figures by name.

It knows every package, as the scripts do; no package knows it. Keras and Matplotlib are imported when it draws.
"""
