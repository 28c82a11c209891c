"""The Landlord Portal's addresses."""

from django.urls import include, path

from . import sign_in, views

urlpatterns = [
    path("", sign_in.Landing.as_view(), name="landing"),
    path("sign-in/", sign_in.SignIn.as_view(), name="sign_in"),
    path("sign-out/", sign_in.SignOut.as_view(), name="sign_out"),
    path("welcome-back/", sign_in.WelcomeBack.as_view(), name="welcome_back"),
    path("updates/", views.Updates.as_view(), name="updates"),
    path("to-dos/", include("landlord_portal.todos.urls")),
    path("tenants/", views.Updates.as_view(), name="tenants"),
    path("payments/", views.Updates.as_view(), name="payments"),
    path("properties/", views.Updates.as_view(), name="properties"),
    path("users/", views.Updates.as_view(), name="users"),
    path("notices/", views.Updates.as_view(), name="notices"),
]
