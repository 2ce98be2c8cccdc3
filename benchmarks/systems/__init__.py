"""Every system of the family on real data: one command each, and what it printed.

    python -m benchmarks.systems --data PATH/TO --output outputs/systems

`PATH/TO` holds the folders `nuclei`, `facades` and `coco_mini`. Each training is short; what is done is not done again.
"""
