"""Making features of our own: procedural paintings and the training on them."""
