"""Watch an image go through the network: what each step makes of it, on one page."""

from maskrcnn.inspection.page import write_page
from maskrcnn.inspection.trace import Trace, trace_image

__all__ = ["Trace", "trace_image", "write_page"]
