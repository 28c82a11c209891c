"""The addresses of the pillar 'Contact'."""

from django.urls import path

from . import call_backs, chats, enquiries, notices, publishing, staff, views

urlpatterns = [
    path("contact/", views.Contact.as_view(), name="contact"),
    path("contact/choose/", views.Choose.as_view(), name="choose_channel"),
    path("contact/choose/<slug:topic>/", views.ChooseKind.as_view(), name="choose_kind"),
    path("contact/choose/<slug:topic>/<slug:kind>/", views.ChooseWay.as_view(), name="choose_way"),
    path(
        "contact/choose/<slug:topic>/<slug:kind>/<slug:way>/",
        views.Chosen.as_view(),
        name="channel_chosen",
    ),
    path("contact/offices/", views.Offices.as_view(), name="offices"),
    path("contact/message/", enquiries.WriteMessage.as_view(), name="write_message"),
    path("contact/messages/", enquiries.YourMessages.as_view(), name="your_messages"),
    path(
        "contact/messages/<slug:reference>/", enquiries.YourMessage.as_view(), name="your_message"
    ),
    path("contact/call-back/", call_backs.AskForCall.as_view(), name="ask_for_call"),
    path(
        "contact/call-backs/<slug:reference>/cancel/",
        call_backs.CancelCall.as_view(),
        name="cancel_call",
    ),
    path("contact/chat/", chats.BeginChat.as_view(), name="begin_chat"),
    path("contact/chats/<slug:reference>/", chats.ChatPage.as_view(), name="chat"),
    path("contact/chats/<slug:reference>/end/", chats.EndChat.as_view(), name="end_chat"),
    path("notices/", notices.Notices.as_view(), name="tenant_notices"),
    path("notices/<int:pk>/", notices.Notice.as_view(), name="tenant_notice"),
    path("staff/notices/", publishing.StaffNotices.as_view(), name="staff_notices"),
    path("staff/notices/publish/", publishing.PublishNotice.as_view(), name="publish_to_tenants"),
    path("staff/notices/downtime/", publishing.PlanDowntime.as_view(), name="plan_downtime"),
    path("staff/notices/<int:pk>/withdraw/", publishing.Withdraw.as_view(), name="withdraw_notice"),
    path("staff/messages/", staff.Messages.as_view(), name="staff_messages"),
    path("staff/messages/calls/", staff.Calls.as_view(), name="staff_calls"),
    path("staff/messages/calls/<slug:reference>/done/", staff.Called.as_view(), name="called"),
    path("staff/messages/chats/", staff.Chats.as_view(), name="staff_chats"),
    path("staff/messages/chats/here/", staff.BeThere.as_view(), name="be_there"),
    path("staff/messages/chats/<slug:reference>/", staff.StaffChat.as_view(), name="staff_chat"),
    path(
        "staff/messages/chats/<slug:reference>/end/",
        staff.StaffEndChat.as_view(),
        name="staff_end_chat",
    ),
    path("staff/messages/<slug:reference>/", staff.Answer.as_view(), name="staff_message"),
    path("staff/messages/<slug:reference>/close/", staff.Close.as_view(), name="close_message"),
]
