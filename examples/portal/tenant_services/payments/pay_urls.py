"""The addresses of paying by card."""

from django.urls import path

from .pay_views import CancelPayment, CardPaymentPage, CardPayments, ContinuePayment, PayRent

PAYMENT = "card-payments/<uuid:payment>/"

urlpatterns = [
    path("card-payments/", CardPayments.as_view(), name="card_payments"),
    path(PAYMENT, CardPaymentPage.as_view(), name="card_payment"),
    path(f"{PAYMENT}continue/", ContinuePayment.as_view(), name="continue_card_payment"),
    path(f"{PAYMENT}cancel/", CancelPayment.as_view(), name="cancel_card_payment"),
    path("<str:tenancy>/pay/", PayRent.as_view(), name="pay_rent"),
]
