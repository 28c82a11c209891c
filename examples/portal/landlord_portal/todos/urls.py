"""The to-dos' addresses."""

from django.urls import path

from . import views

urlpatterns = [
    path("", views.TodoList.as_view(), name="todos"),
    path("<int:pk>/", views.TodoStart.as_view(), name="todo"),
    path("<int:pk>/check/", views.CheckAnswers.as_view(), name="todo_check"),
    path("<int:pk>/done/", views.TodoDone.as_view(), name="todo_done"),
    path("<int:pk>/<slug:slug>/", views.TodoPage.as_view(), name="todo_page"),
]
