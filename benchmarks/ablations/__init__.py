"""The ablations of the paper's tables 2a to 2e, on small models and real data.

    python -m benchmarks.ablations --data PATH/TO/facades --output outputs/ablations

Each pair is trained with the same budget from the same seeds; `ablations.md` in the output stands beside the paper's
figures, whichever way it comes out.
"""
