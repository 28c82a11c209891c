"""The addresses of a repair's appointment."""

from django.urls import path

from . import booking

urlpatterns = [
    path("<str:number>/visit/", booking.YourAppointment.as_view(), name="repair_appointment"),
    path("<str:number>/visit/book/", booking.Book.as_view(), name="book_repair"),
    path("<str:number>/visit/change/", booking.Change.as_view(), name="change_appointment"),
    path("<str:number>/visit/check/", booking.Check.as_view(), name="check_appointment"),
    path("<str:number>/visit/cancel/", booking.Cancel.as_view(), name="cancel_appointment"),
    path("<str:number>/visit/visit.ics", booking.File.as_view(), name="appointment_file"),
]
