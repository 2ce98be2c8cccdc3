"""Training: `loop.py` tells the story; the other files are its nouns."""
