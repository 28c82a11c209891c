"""The Landlord Portal's addresses."""

from django.urls import include, path

from . import compliance, payments, properties, sign_in, tenants, updates, users

urlpatterns = [
    path("", sign_in.Landing.as_view(), name="landing"),
    path("sign-in/", sign_in.SignIn.as_view(), name="sign_in"),
    path("sign-out/", sign_in.SignOut.as_view(), name="sign_out"),
    path("welcome-back/", sign_in.WelcomeBack.as_view(), name="welcome_back"),
    path("updates/", updates.Updates.as_view(), name="updates"),
    path("to-dos/", include("landlord_portal.todos.urls")),
    path("tenants/", tenants.Tenants.as_view(), name="tenants"),
    path("tenants/<int:pk>/", tenants.TenantDetail.as_view(), name="tenant"),
    path("tenants/<int:pk>/reference/", tenants.ChangeReference.as_view(), name="change_reference"),
    path(
        "tenants/<int:pk>/requests/<str:kind>/",
        tenants.MakeRequest.as_view(),
        name="make_request",
    ),
    path("payments/", payments.Payments.as_view(), name="payments"),
    path("properties/", properties.Properties.as_view(), name="properties"),
    path("properties/add/", properties.AddProperty.as_view(), name="add_property"),
    path(
        "properties/<int:pk>/remove/", properties.RemoveProperty.as_view(), name="remove_property"
    ),
    path("users/", users.Users.as_view(), name="users"),
    path("users/add/", users.AddUser.as_view(), name="add_user"),
    path("users/<int:pk>/roles/", users.ChangeRoles.as_view(), name="change_roles"),
    path("users/<int:pk>/deactivate/", users.DeactivateUser.as_view(), name="deactivate_user"),
    path("notices/", updates.Notices.as_view(), name="notices"),
    path("notices/publish/", updates.PublishNotice.as_view(), name="publish_notice"),
    path("notices/form/", updates.ChangeForm.as_view(), name="change_form"),
    path("compliance/", compliance.Decisions.as_view(), name="compliance"),
    path("compliance/<int:index>/", compliance.OneDecision.as_view(), name="decision"),
    path("compliance/verification/", compliance.VerifyLog.as_view(), name="verify_log"),
    path(
        "compliance/reports/<int:days>/<str:kind>/",
        compliance.Reports.as_view(),
        name="compliance_report",
    ),
    path("compliance/automation/", compliance.Automation.as_view(), name="automation"),
    path("compliance/automation/pause/", compliance.Pause.as_view(), name="pause_all"),
    path("compliance/automation/pause/<str:account>/", compliance.Pause.as_view(), name="pause"),
    path("compliance/automation/resume/", compliance.Resume.as_view(), name="resume_all"),
    path("compliance/automation/resume/<str:account>/", compliance.Resume.as_view(), name="resume"),
    path("compliance/forms/<str:kind>/", compliance.RecordTest.as_view(), name="record_test"),
]
