"""The configuration of the council's payments to landlords."""

from django.apps import AppConfig


class CouncilPaymentsConfig(AppConfig):
    """The app; what it shows comes from the back office, what it keeps is who proved what."""

    name = "council_payments"
    verbose_name = "Council landlord payments"
