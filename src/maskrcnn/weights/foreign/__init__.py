"""Weights of other libraries, in our names and with our conventions."""
