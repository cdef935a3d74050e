"""Numbers applied to models: casting, quantizing, freezing, footprints, saving."""
