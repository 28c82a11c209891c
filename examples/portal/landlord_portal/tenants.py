"""Tenants, and what people may request for them; automation never may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from demo_portal import clock
from design.forms import Form, MoneyField
from design.views import FormPage, ShowMoreView
from django import forms
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.generic import DetailView

from automation_rules import Role

from .models import HousingRequest, Tenancy
from .roles import GuardedView

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpResponse


class TenantPage(GuardedView):
    """A page for people who hold the role 'Provide tenancy details'."""

    role = Role.PROVIDE_TENANCY_DETAILS
    people_only = True


class Tenants(TenantPage, ShowMoreView):
    """The landlord's tenancies."""

    template_name = "landlord_portal/tenants.html"

    def get_queryset(self) -> QuerySet[Tenancy]:
        """Return the user's own."""
        return Tenancy.objects.of(self.request.user).select_related("claimant", "home")


class TenantDetail(TenantPage, DetailView):  # type: ignore[type-arg]
    """One tenancy, and what was requested for it."""

    template_name = "landlord_portal/tenant.html"
    context_object_name = "tenancy"
    extra_context: ClassVar = {"kinds": HousingRequest.Kind}

    def get_queryset(self) -> QuerySet[Tenancy]:
        """Return the user's own."""
        return Tenancy.objects.of(self.request.user).prefetch_related("requests")


class AboutTenant(TenantPage, FormPage):
    """A form about one tenancy."""

    def dispatch(self, request: Any, *args: Any, **named: Any) -> Any:
        """Find the tenancy among the user's own."""
        if self.may_enter(request.user):
            self.tenancy = get_object_or_404(Tenancy.objects.of(request.user), pk=named["pk"])
        return super().dispatch(request, *args, **named)

    def get_success_url(self) -> str:
        """Lead back to the tenancy."""
        return reverse("tenant", kwargs={"pk": self.tenancy.pk})


class RequestForm(Form):
    """Why it is asked for."""

    reason = forms.CharField(
        label=_("Why are you asking for this?"),
        widget=forms.Textarea,
        max_length=2000,
        error_messages={
            "required": _("Say why you are asking for this"),
            "max_length": _("The reason must be 2,000 characters or fewer"),
        },
    )


class ArrearsForm(RequestForm):
    """The same, with what is owed."""

    arrears = MoneyField(
        label=_("How much rent does the tenant owe?"),
        required_message=_("Enter how much rent the tenant owes"),
        invalid_message=_("Rent owed must be an amount in pounds and pence, like 123.45"),
    )
    field_order: ClassVar = ["arrears", "reason"]


class MakeRequest(AboutTenant):
    """Ask for an alternative payment arrangement, a deduction or more frequent payments."""

    button = _("Send request")
    success = _("The request was sent")

    def dispatch(self, request: Any, *args: Any, **named: Any) -> Any:
        """Read from the address what is asked for."""
        if named["kind"] not in HousingRequest.Kind.values:
            raise Http404
        self.kind = HousingRequest.Kind(named["kind"])
        self.heading = self.kind.label
        return super().dispatch(request, *args, **named)

    def get_form_class(self) -> type[RequestForm]:
        """Ask what is owed only where something is."""
        return ArrearsForm if self.kind is HousingRequest.Kind.ARREARS else RequestForm

    def form_valid(self, form: Any) -> HttpResponse:
        """Keep the request."""
        HousingRequest.objects.create(
            tenancy=self.tenancy,
            kind=self.kind,
            made_by=self.request.user,
            made_at=clock.now(),
            **form.cleaned_data,
        )
        return super().form_valid(form)


class ReferenceForm(Form):
    """The landlord's own reference."""

    reference = forms.CharField(
        label=_("Tenant reference"),
        max_length=50,
        error_messages={
            "required": _("Enter the tenant reference"),
            "max_length": _("The tenant reference must be 50 characters or fewer"),
        },
    )


class ChangeReference(AboutTenant):
    """Change the reference by which the landlord knows a tenant."""

    form_class = ReferenceForm
    heading = _("Change the tenant reference")
    button = _("Save")
    success = _("The tenant reference was changed")

    def get_initial(self) -> dict[str, str]:
        """Begin with the one there is."""
        return {"reference": self.tenancy.reference}

    def form_valid(self, form: Any) -> HttpResponse:
        """Keep it."""
        Tenancy.objects.filter(pk=self.tenancy.pk).update(**form.cleaned_data)
        return super().form_valid(form)
