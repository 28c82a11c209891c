"""The addresses of the council's payments to landlords."""

from django.urls import path
from landlord_portal.sign_in import SignOut, WelcomeBack

from . import landlord_payments as views
from .sensitive import Prove
from .sign_in import CouncilSignIn

urlpatterns = [
    path("", views.Landing.as_view(), name="council"),
    path("sign-in/", CouncilSignIn.as_view(), name="council_sign_in"),
    path("sign-out/", SignOut.as_view(sign_in="council_sign_in"), name="council_sign_out"),
    path("welcome-back/", WelcomeBack.as_view(landing="council"), name="council_welcome_back"),
    path("landlord-payments/", views.Creditors.as_view(), name="landlord_payments"),
    path(
        "landlord-payments/prove/",
        Prove.as_view(service=views.LANDLORD_PAYMENTS),
        name="prove_landlord_payments",
    ),
    path("landlord-payments/<int:proof>/", views.Summary.as_view(), name="creditor"),
    path(
        "landlord-payments/<int:proof>/payments/",
        views.Payments.as_view(),
        name="creditor_payments",
    ),
    path(
        "landlord-payments/<int:proof>/payments/<str:number>/",
        views.PaymentLines.as_view(),
        name="creditor_payment",
    ),
    path(
        "landlord-payments/<int:proof>/payments/<str:number>/schedule.csv",
        views.Schedule.as_view(),
        name="payment_schedule",
    ),
]
