"""Running a comparison: what is asked goes in, events come out."""
