"""The comparison that the page opens with."""
