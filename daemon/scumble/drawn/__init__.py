"""Pictures that Scumble draws itself, in NumPy: a scene to repaint, and six paintings to repaint it after.

They let `scumble demo` and the tests run without any download, and nobody else holds rights in them.
"""

from scumble.drawn.paintings import PAINTINGS, painting
from scumble.drawn.scene import Scene, scene

__all__ = ["PAINTINGS", "Scene", "painting", "scene"]
