"""How to paint: the PyTorch side of Scumble. It knows nothing of HTTP, Krita or GIMP."""

import os

# OpenMP's threads by default spin for long while they wait for each other, which beside one other busy program makes a
# step ten to fifty times slower; but where nothing else runs, threads that sleep at once make it a third slower. Some
# microseconds serve both. It is read once, when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "4000")
# Large maps in huge pages where the system gives them to whoever asks: a step is 7 to 10 % sooner. It is read when the
# first tensor is made.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
# What Apple's GPUs cannot do is done by the processor. It is read when torch is loaded.
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
