"""How the embedded models were made: their data, their training and their evaluation."""
