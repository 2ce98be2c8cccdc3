"""Pictures for people: outlines, fills and names drawn over an image."""
