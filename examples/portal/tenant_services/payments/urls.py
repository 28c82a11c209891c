"""The addresses of the pillar 'Payments'."""

from django.urls import include, path, register_converter

from .charges import ChargePage
from .paperless import ChooseStatements
from .statements import AskForStatement, Day, StatementAsCsv, StatementAsPdf, StatementPage
from .views import Account, History, Rent

register_converter(Day, "day")

STATEMENT = "<str:tenancy>/statement/"
DAYS = f"{STATEMENT}<day:first>/<day:last>/"

urlpatterns = [
    path("", Rent.as_view(), name="rent"),
    path("how-we-send-statements/", ChooseStatements.as_view(), name="choose_statements"),
    path("", include("tenant_services.payments.pay_urls")),
    path("<str:tenancy>/", Account.as_view(), name="rent_account"),
    path("<str:tenancy>/history/", History.as_view(), name="rent_history"),
    path("<str:tenancy>/charge/<int:entry>/", ChargePage.as_view(), name="rent_charge"),
    path(STATEMENT, AskForStatement.as_view(), name="ask_for_statement"),
    path(DAYS, StatementPage.as_view(), name="rent_statement"),
    path(f"{DAYS}csv/", StatementAsCsv.as_view(), name="rent_statement_csv"),
    path(f"{DAYS}pdf/", StatementAsPdf.as_view(), name="rent_statement_pdf"),
]
