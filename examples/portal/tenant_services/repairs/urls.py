"""The addresses of the pillar 'Repairs'."""

from django.urls import include, path

from . import report, views

urlpatterns = [
    path("", views.Repairs.as_view(), name="repairs"),
    path("all/<slug:whose>/<slug:stage>/", views.AllJobs.as_view(), name="all_repairs"),
    path("emergency/", views.Emergencies.as_view(), name="repair_emergencies"),
    path("emergency/<slug:slug>/", views.OneEmergency.as_view(), name="repair_emergency"),
    path("self-help/", views.SelfHelps.as_view(), name="repair_self_helps"),
    path("self-help/<slug:slug>/", views.OneSelfHelp.as_view(), name="repair_self_help"),
    path("report/", report.StartReport.as_view(), name="report_repair"),
    path("report/<uuid:report>/for/", report.ReportHome.as_view(), name="report_home"),
    path("report/<uuid:report>/where/", report.ReportLocation.as_view(), name="report_location"),
    path("report/<uuid:report>/what/", report.ReportProblem.as_view(), name="report_problem"),
    path("report/<uuid:report>/detail/", report.ReportDetail.as_view(), name="report_detail"),
    path(
        "report/<uuid:report>/describe/",
        report.ReportDescription.as_view(),
        name="report_description",
    ),
    path("report/<uuid:report>/check/", report.ReportCheck.as_view(), name="report_check"),
    path("report/<uuid:report>/reported/", report.Reported.as_view(), name="reported"),
    path("", include("tenant_services.repairs.booking_urls")),
    path("<str:number>/", views.OneJob.as_view(), name="repair"),
    path("<str:number>/cancel/", views.CancelJob.as_view(), name="cancel_repair"),
]
