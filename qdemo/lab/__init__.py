"""The ideas by hand: what the lab's pages play with, computed. Nothing here draws."""
