"""How to paint: the PyTorch side of Scumble. It knows nothing of HTTP, Krita or GIMP."""
