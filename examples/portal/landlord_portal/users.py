"""User management: people with the role 'Manage users' add users and choose their roles.

What the terms say of an automation account is asked of the rules themselves, as it would be
after the change; what they would deny is refused here with the clause.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from design.forms import Form
from design.views import WARNING, FormPage
from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.shortcuts import get_object_or_404
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _
from django.views.generic import ListView

from automation_rules import AutomationRulesError, Role
from automation_rules.accounts import AutomationAccount, Person

from .library import breaches, registry
from .models import ROLE_NAMES, Phone, User
from .roles import GuardedView

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpResponse

FIELD_OF = {
    "role": "roles",
    "account_limit": "kind",
    "username_not_identifiable": "username",
    "email_not_identifiable": "email",
}
"""The field that a check's finding, or its code, is about."""


class UserPage(GuardedView):
    """A page for people who hold the role 'Manage users'."""

    role = Role.MANAGE_USERS
    people_only = True


class Users(UserPage, ListView):  # type: ignore[type-arg]
    """The landlord's users."""

    template_name = "landlord_portal/users.html"

    def get_queryset(self) -> QuerySet[User]:
        """Return the user's own colleagues and bots."""
        return User.objects.of(self.request.user).order_by("pk")


class RolesForm(Form):
    """The roles of a user."""

    roles = forms.MultipleChoiceField(
        label=_("Roles"),
        choices=[(role.value, name) for role, name in ROLE_NAMES.items()],
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    options: ClassVar = {"roles": {"english": True}}

    def refuse(self, account: AutomationAccount) -> bool:
        """Add an error for everything that the terms say against ``account``; whether any did."""
        found = breaches(account)
        for breach in found:
            field = FIELD_OF.get(breach.code, FIELD_OF.get(breach.check))
            self.add_error(field if field in self.fields else None, breach.text)
        return bool(found)


class UserForm(RolesForm):
    """A new user."""

    kind = forms.ChoiceField(
        label=_("Who will use the account?"),
        choices=[(User.Kind.PERSON, _("A person")), (User.Kind.AUTOMATION, _("Automation"))],
        widget=forms.RadioSelect,
        error_messages={"required": _("Select who will use the account")},
    )
    full_name = forms.CharField(
        label=_("Full name"),
        max_length=200,
        required=False,
        error_messages={"required": _("Enter the person's full name")},
    )
    username = forms.CharField(
        label=_("User name"),
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": False}),
        error_messages={"required": _("Enter a user name")},
    )
    email = forms.EmailField(
        label=_("Email address"),
        error_messages={
            "required": _("Enter an email address"),
            "invalid": _("Enter an email address, like name@example.com"),
        },
    )
    phone = forms.RegexField(
        r"^(0|\+44 ?)7([ ]?[0-9]){9}$",
        label=_("Mobile phone number for access codes"),
        widget=forms.TextInput(attrs={"inputmode": "tel", "autocomplete": "off"}),
        error_messages={
            "required": _("Enter a mobile phone number"),
            "invalid": _("Enter a mobile phone number, like 07700 900 982"),
        },
    )
    password = forms.CharField(
        label=_("First password"),
        strip=False,
        help_text=_("At least 12 characters."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        error_messages={"required": _("Enter a first password")},
    )
    field_order: ClassVar = [
        "kind",
        "full_name",
        "username",
        "email",
        "phone",
        "password",
        "roles",
    ]
    reveals: ClassVar = {"kind": {"person": ["full_name"]}}

    def clean_username(self) -> str:
        """Refuse a name that is taken."""
        username: str = self.cleaned_data["username"]
        if User.objects.filter(username=username).exists():
            raise ValidationError(str(_("This user name is taken")))
        return username

    def clean_password(self) -> str:
        """Refuse a weak password, in our own words."""
        password: str = self.cleaned_data["password"]
        try:
            validate_password(password)
        except ValidationError as error:
            raise ValidationError(
                str(_("Choose a password that is at least 12 characters and hard to guess"))
            ) from error
        return password

    def clean(self) -> dict[str, Any]:
        """Ask a person for their name."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("kind") == User.Kind.PERSON and not cleaned.get("full_name"):
            self.add_error("full_name", self.fields["full_name"].error_messages["required"])
        return cleaned


class AddUser(UserPage, FormPage):
    """Add a person or an automation account, in the portal and in the registry."""

    form_class = UserForm
    heading = _("Add a user")
    button = _("Add")
    success = _("The user was added")
    success_url = reverse_lazy("users")

    def form_valid(self, form: Any) -> HttpResponse:
        """Keep the user, unless the terms or the registry say no."""
        values = form.cleaned_data
        landlord_id = self.request.user.landlord_id
        automation = values["kind"] == User.Kind.AUTOMATION
        new: Any = None
        if automation:
            new = AutomationAccount(
                f"{landlord_id}-{uuid.uuid4().hex[:8]}",
                landlord_id,
                values["username"],
                values["email"],
                frozenset(values["roles"]),
            )
            if form.refuse(new):
                return self.form_invalid(form)
        else:
            new = Person(
                f"{landlord_id}-p-{uuid.uuid4().hex[:8]}", landlord_id, values["full_name"]
            )
        try:
            with transaction.atomic():
                self.keep(values, new.id)
                (registry().add_account if automation else registry().add_person)(new)
        except AutomationRulesError:
            form.add_error(None, _("The registry did not take the user. Change it and try again"))
            return self.form_invalid(form)
        return super().form_valid(form)

    def keep(self, values: dict[str, Any], registry_id: str) -> None:
        """Keep the user and the phone; a bot's is held by whoever adds it."""
        user = User.objects.create_user(
            values["username"],
            values["password"],
            full_name=values["full_name"] or values["username"],
            email=values["email"],
            kind=values["kind"],
            landlord=self.request.user.landlord,
            registry_id=registry_id,
            roles=values["roles"],
        )
        holder = self.request.user if user.is_automation else user
        Phone.objects.create(user=user, holder=holder, name="default", number=values["phone"])


class OneUser(UserPage, FormPage):
    """A form about one of the landlord's users."""

    success_url = reverse_lazy("users")

    def get_user(self) -> User:
        """Find the user among the landlord's."""
        found: User = get_object_or_404(User.objects.of(self.request.user), pk=self.kwargs["pk"])
        return found

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Show who it is."""
        return super().get_context_data(**named) | {"lines": [self.get_user().username]}


class ChangeRoles(OneUser):
    """Choose a user's roles; an automation account keeps the one that the terms allow."""

    form_class = RolesForm
    heading = _("Change roles")
    button = _("Save")
    success = _("The roles were changed")

    def get_initial(self) -> dict[str, Any]:
        """Begin with the roles that the user holds."""
        return {"roles": self.get_user().roles}

    def form_valid(self, form: Any) -> HttpResponse:
        """Keep the roles, unless the terms say no."""
        user, roles = self.get_user(), form.cleaned_data["roles"]
        if user.account_id:
            account = registry().account(user.account_id)
            if form.refuse(replace(account, roles=frozenset(roles))):
                return self.form_invalid(form)
            registry().update_account(user.account_id, roles=frozenset(roles))
        user.roles = roles
        user.save(update_fields=["roles"])
        return super().form_valid(form)


class DeactivateUser(OneUser):
    """End a user's access; an automation account then counts no more."""

    form_class = Form
    heading = _("Deactivate this user?")
    button = _("Deactivate")
    button_classes = WARNING
    success = _("The user was deactivated")

    def form_valid(self, form: Any) -> HttpResponse:
        """End it."""
        user = self.get_user()
        if user.account_id:
            registry().deactivate_account(user.account_id, "deactivated in the portal")
        User.objects.filter(pk=user.pk).update(is_active=False)
        return super().form_valid(form)
