"""The addresses of the pillar 'Repairs'."""

from django.urls import path

from .views import Repairs

urlpatterns = [path("", Repairs.as_view(), name="repairs")]
