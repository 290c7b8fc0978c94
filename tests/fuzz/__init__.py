"""Files that are broken on purpose, in great number, and what must hold for each of them."""
