"""Encodings of a mask: run lengths, polygons, pasting, overlap."""
