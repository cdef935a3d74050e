"""How t5-tiny was made: its tasks, its tokenizer, its training and its held-out set."""
