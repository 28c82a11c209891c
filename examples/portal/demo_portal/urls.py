"""The addresses: one system to a prefix, and the pages that all of them share."""

from django.urls import include, path

from . import errors, language

urlpatterns = [
    path("language/<str:code>", language.choose, name="language"),
    path("council/", include("council_payments.urls")),
    path("my-home/", include("tenant_services.urls")),
    path("", include("landlord_portal.urls")),
]

handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler500 = errors.failed
