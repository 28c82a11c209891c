"""The addresses of the pillar 'Payments'."""

from django.urls import path

from .views import Rent

urlpatterns = [path("", Rent.as_view(), name="rent")]
