"""The addresses of the pillar 'Profile'."""

from django.urls import path

from .views import MyHome, Profile

urlpatterns = [
    path("", MyHome.as_view(), name="my_home"),
    path("your-details/", Profile.as_view(), name="profile"),
]
