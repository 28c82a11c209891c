"""The addresses of the pillar 'Profile'."""

from django.urls import path

from . import details, forgotten, registration, views

urlpatterns = [
    path("", views.MyHome.as_view(), name="my_home"),
    path("tenancies/<str:tenancy>/", views.OneTenancy.as_view(), name="tenancy"),
    path(
        "tenancies/<str:tenancy>/documents/<int:number>/",
        views.Download.as_view(),
        name="tenancy_document",
    ),
    path("register/", registration.Who.as_view(), name="register"),
    path("register/contact/", registration.Contact.as_view(), name="register_contact"),
    path("register/code/", registration.TelephoneCode.as_view(), name="register_code"),
    path("register/email/", registration.EmailSent.as_view(), name="register_email"),
    path("register/confirm/<str:token>/", registration.Confirm.as_view(), name="register_confirm"),
    path("register/not-opened/", registration.NotOpened.as_view(), name="register_not_opened"),
    path("forgotten-password/", forgotten.Forgotten.as_view(), name="forgotten_password"),
    path(
        "forgotten-password/sent/",
        forgotten.ForgottenSent.as_view(),
        name="forgotten_password_sent",
    ),
    path(
        "forgotten-password/<str:uidb64>/<str:token>/",
        forgotten.ChooseNewPassword.as_view(),
        name="new_password",
    ),
    path("your-details/", details.Details.as_view(), name="profile"),
    path("your-details/telephone/", details.ChangeTelephone.as_view(), name="change_telephone"),
    path(
        "your-details/telephone/confirm/",
        details.ConfirmTelephone.as_view(),
        name="confirm_telephone",
    ),
    path("your-details/email/", details.ChangeEmail.as_view(), name="change_email"),
    path(
        "your-details/email/confirm/<str:token>/",
        details.ConfirmEmail.as_view(),
        name="confirm_email",
    ),
    path("your-details/<str:kind>/cancel/", details.CancelChange.as_view(), name="cancel_change"),
]
