"""The project: settings, addresses, the clock and the templates' environment."""
