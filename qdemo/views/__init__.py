"""What is shown of a document: words, tables, figures, HTML. Nothing here knows torch."""
