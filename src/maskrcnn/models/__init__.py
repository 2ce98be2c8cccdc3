"""The networks. `mask_rcnn.py` is the one file to read; every other file is one of its parts."""
