"""What can be said without torch: formats, schemes, variants, requests, reports."""
