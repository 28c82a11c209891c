"""The to-dos, page by page."""
