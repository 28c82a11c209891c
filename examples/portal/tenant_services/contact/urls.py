"""The addresses of the pillar 'Contact'."""

from django.urls import path

from .views import Contact, Messages, Notices, StaffNotices

urlpatterns = [
    path("contact/", Contact.as_view(), name="contact"),
    path("notices/", Notices.as_view(), name="tenant_notices"),
    path("staff/notices/", StaffNotices.as_view(), name="staff_notices"),
    path("staff/messages/", Messages.as_view(), name="staff_messages"),
]
