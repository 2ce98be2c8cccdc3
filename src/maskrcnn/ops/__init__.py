"""Functions on tensors. Each file holds a plain reference beside the fast ways, in one literal table."""
