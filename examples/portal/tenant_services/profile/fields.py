"""Fields that more than one of the profile's forms ask, and what is wrong with an answer."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from .confirming import mobile, plain_email


class Email(forms.EmailField):
    """An e-mail address, in small letters."""

    def __init__(self, **named: Any) -> None:
        """Say what is wrong in our words."""
        super().__init__(
            max_length=200,
            widget=forms.TextInput(
                attrs={"autocomplete": "email", "inputmode": "email", "spellcheck": False}
            ),
            error_messages={
                "required": _("Enter an email address"),
                "invalid": _("Enter an email address, like name@example.com"),
            },
            **named,
        )

    def clean(self, value: Any) -> str:
        """Return it as it is kept."""
        return plain_email(super().clean(value))


class Mobile(forms.CharField):
    """A British mobile number, however it is written."""

    def __init__(self, **named: Any) -> None:
        """Say what is wrong in our words."""
        super().__init__(
            max_length=30,
            widget=forms.TextInput(attrs={"inputmode": "tel", "autocomplete": "tel"}),
            error_messages={"required": _("Enter a mobile phone number")},
            **named,
        )

    def clean(self, value: Any) -> str:
        """Return it as it is kept."""
        number = mobile(super().clean(value))
        if number is None:
            raise ValidationError(_("Enter a mobile phone number, like 07700 900 982"))
        return number


class NewPassword(forms.CharField):
    """A password that is hard to guess."""

    def __init__(self, **named: Any) -> None:
        """Say what is wrong in our words."""
        super().__init__(
            strip=False,
            max_length=1000,
            help_text=_("At least 12 characters."),
            widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
            error_messages={"required": _("Enter a password")},
            **named,
        )

    def clean(self, value: Any) -> str:
        """Refuse what Django's validators refuse."""
        password: str = super().clean(value)
        try:
            validate_password(password)
        except ValidationError as error:
            raise ValidationError(
                _("Choose a password that is at least 12 characters and hard to guess")
            ) from error
        return password


class OwnPassword(forms.CharField):
    """The password that somebody has."""

    def __init__(self, **named: Any) -> None:
        """Say what is wrong in our words."""
        super().__init__(
            strip=False,
            max_length=1000,
            widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
            error_messages={"required": _("Enter your password")},
            **named,
        )
