"""The addresses of tenant self-service: a path to each pillar."""

from django.urls import include, path
from landlord_portal.sign_in import SignOut, WelcomeBack

from .sign_in import TenantSignIn

urlpatterns = [
    path("sign-in/", TenantSignIn.as_view(), name="my_home_sign_in"),
    path("sign-out/", SignOut.as_view(sign_in="my_home_sign_in"), name="my_home_sign_out"),
    path("welcome-back/", WelcomeBack.as_view(landing="my_home"), name="my_home_welcome_back"),
    path("", include("tenant_services.profile.urls")),
    path("rent/", include("tenant_services.payments.urls")),
    path("repairs/", include("tenant_services.repairs.urls")),
    path("", include("tenant_services.contact.urls")),
]
