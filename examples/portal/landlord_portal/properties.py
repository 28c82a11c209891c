"""The landlord's properties."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from design.forms import Form
from design.views import WARNING, FormPage, ShowMoreView
from django import forms
from django.core.validators import RegexValidator
from django.db.models import Count
from django.shortcuts import get_object_or_404
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

from automation_rules import Role

from .models import Property
from .roles import GuardedView

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpResponse


class PropertyPage(GuardedView):
    """A page for people who hold the role 'Add or remove properties'."""

    role = Role.ADD_OR_REMOVE_PROPERTIES
    people_only = True


class Properties(PropertyPage, ShowMoreView):
    """The properties, and whether somebody lives there."""

    template_name = "landlord_portal/properties.html"

    def get_queryset(self) -> QuerySet[Property]:
        """Return the user's own."""
        return Property.objects.of(self.request.user).annotate(let=Count("tenancies"))


class PropertyForm(Form):
    """An address."""

    address = forms.CharField(
        label=_("Address"),
        max_length=300,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={"required": _("Enter the address")},
    )
    town = forms.CharField(
        label=_("Town or city"),
        max_length=100,
        error_messages={"required": _("Enter the town or city")},
    )
    postcode = forms.CharField(
        label=_("Postcode"),
        max_length=10,
        error_messages={"required": _("Enter the postcode")},
        validators=[
            RegexValidator(
                r"^[A-Za-z]{1,2}[0-9][A-Za-z0-9]? ?[0-9][A-Za-z]{2}$",
                _("Enter a full postcode, like EX99 9AA"),
            )
        ],
    )
    options: ClassVar = {"postcode": {"classes": "govuk-input--width-10"}}


class AddProperty(PropertyPage, FormPage):
    """Add one."""

    form_class = PropertyForm
    heading = _("Add a property")
    button = _("Add")
    success = _("The property was added")
    success_url = reverse_lazy("properties")

    def form_valid(self, form: Any) -> HttpResponse:
        """Keep it."""
        Property.objects.create(landlord=self.request.user.landlord, **form.cleaned_data)
        return super().form_valid(form)


class RemoveProperty(PropertyPage, FormPage):
    """Remove one that nobody's claim is about."""

    form_class = Form
    heading = _("Remove this property?")
    button = _("Remove")
    button_classes = WARNING
    success = _("The property was removed")
    success_url = reverse_lazy("properties")

    def get_property(self) -> Property:
        """Find it among the user's own that are free."""
        free = Property.objects.of(self.request.user).filter(tenancies=None)
        return get_object_or_404(free, pk=self.kwargs["pk"])

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Show which it is."""
        return super().get_context_data(**named) | {"lines": self.get_property().lines}

    def form_valid(self, form: Any) -> HttpResponse:
        """Remove it."""
        self.get_property().delete()
        return super().form_valid(form)
