"""What a language model is asked for, with examples for each way in which it reads a prompt."""

from __future__ import annotations

from dataclasses import replace

from qdemo.models.families.text2text import PROMPT

WRITTEN = replace(
    PROMPT,
    examples=(
        "What is the capital of France?",
        "Why is the sky blue? Answer in two sentences.",
        "Tell me a story about a fox who is afraid of the dark.",
        "Name five animals that live in the sea.",
        "How do I boil an egg?",
        "What is 12 + 30?",
    ),
    examples_as={
        "text": (
            "Once upon a time, there was a little fox who",
            "The capital of France is",
            "Monday, Tuesday, Wednesday,",
            "To boil an egg, first",
            "def is_even(number):\n    return",
            "1, 2, 3, 4, 5,",
        ),
        "score": (
            "Water falls from the clouds as rain. It runs down the hills into streams, and the "
            "streams run into rivers. The rivers carry it to the sea, where the sun warms it, and "
            "it rises into the air again.",
            "Paris is the capital of France. Rome is the capital of Italy. Madrid is the capital "
            "of Spain.",
            "Paris is the capital of Italy. Rome is the capital of Spain. Madrid is the capital of "
            "France.",
            # What comes again is expected.
            "One day the cat sat on the mat. One day the cat sat on the mat. One day the cat sat "
            "on the mat.",
            "Der Himmel ist blau, und das Meer ist blau.",
            "The quick brown fox jumps over the lazy dog.",
            "Dog lazy the over jumps fox brown quick the.",
        ),
    },
)
"""The prompt of a language model: the same control, and examples of its own."""
