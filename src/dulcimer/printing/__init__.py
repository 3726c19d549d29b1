"""Films as pictures: rendering, writing, and the preparation of images for printing.

It needs NumPy and Pillow, which the extra ``print`` brings.
"""
