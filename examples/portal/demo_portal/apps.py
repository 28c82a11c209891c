"""The configuration of what all the systems share."""

from django.apps import AppConfig


class DemoPortalConfig(AppConfig):
    """The app; it counts tries."""

    name = "demo_portal"
    verbose_name = "Demonstration portal"
