"""How a transformation network learns a style: from what pictures, by which losses, and how it went."""
