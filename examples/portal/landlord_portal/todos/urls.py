"""The to-dos' addresses."""

from django.urls import path
from django.views.generic import TemplateView

urlpatterns = [
    path("", TemplateView.as_view(template_name="landlord_portal/updates.html"), name="todos"),
]
