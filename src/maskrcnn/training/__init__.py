"""Training: `loop.py` is the loop; the other files hold its parts."""
