"""The Landlord Portal's configuration."""

from django.apps import AppConfig


class LandlordPortalConfig(AppConfig):
    """Tells two-factor sign-in about our phones."""

    name = "landlord_portal"
    verbose_name = "Landlord Portal"

    def ready(self) -> None:
        """Register the one way to receive codes."""
        from two_factor.plugins.registry import registry

        from .sign_in import TextMessage

        registry.register(TextMessage())
