"""From a network and its images to the figures of `visualize.py`: what is asked of it, and what is drawn of the answer.

It knows every room, as the scripts do; no room knows it. Its modules import Keras and Matplotlib when they draw.
"""
