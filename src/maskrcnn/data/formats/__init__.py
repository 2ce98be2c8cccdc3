"""Label formats, a file each; `table.py` has all of them. Nothing is imported here, so that writers need no PyTorch."""
