"""The data and the training of `blip-tiny`, which puts small emoji scenes into words."""
