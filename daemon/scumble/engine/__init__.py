"""How to paint: the PyTorch side of Scumble. It knows nothing of HTTP, Krita or GIMP."""

import os

# OpenMP's threads by default spin while they wait for each other, which beside one other busy program makes a step ten
# to fifty times slower. It reads this once, when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
