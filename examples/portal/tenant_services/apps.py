"""The configuration of tenant self-service."""

from django.apps import AppConfig


class TenantServicesConfig(AppConfig):
    """The app; its four pillars are packages of it."""

    name = "tenant_services"
    verbose_name = "Tenant services"
