"""Images that do not fit through the network at once: tiles, and one stream of objects over their seams."""
