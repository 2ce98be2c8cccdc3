"""A model behind HTTP: `maskrcnn serve`. Needs the libraries of the extra `serve`; their files import them."""
