"""What the pillar 'Profile' keeps: contact details that count only when they are confirmed."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Unconfirmed(models.Model):
    """Something that a code by SMS, or a link by e-mail, has yet to confirm.

    Neither is kept, only what they hash to. An empty hash is confirmed by nothing.
    """

    code_hash = models.CharField(max_length=64, default="")
    code_sent_at = models.DateTimeField(null=True)
    code_tries = models.PositiveSmallIntegerField(default=0)
    link_hash = models.CharField(max_length=64, default="", db_index=True)
    link_sent_at = models.DateTimeField(null=True)

    class Meta:
        """Not a table of its own."""

        abstract = True

    @property
    def asker(self) -> str:
        """Who asks for codes and links, of which nobody gets any number."""
        raise NotImplementedError

    @property
    def contacts(self) -> dict[str, str]:
        """What is confirmed. A code or link for what it was before confirms nothing."""
        raise NotImplementedError


class Registration(Unconfirmed):
    """An account that somebody would like to open, who said right who ``person`` is.

    How they are reached comes next. ``password`` is hashed.
    """

    person = models.CharField(max_length=50)
    email = models.CharField(max_length=200, default="")
    telephone = models.CharField(max_length=30, default="")
    password = models.CharField(max_length=128, default="")
    begun_at = models.DateTimeField()
    telephone_confirmed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"registration {self.pk}"

    @property
    def asker(self) -> str:
        """Who somebody said that they are."""
        return f"person {self.person}"

    @property
    def contacts(self) -> dict[str, str]:
        """Both, which may be entered anew while a code or link is on its way."""
        return {"email": self.email, "telephone": self.telephone}


class Change(Unconfirmed):
    """A new telephone number or e-mail address of an account's; a later one takes its place."""

    class Kind(models.TextChoices):
        """What is changed."""

        TELEPHONE = "telephone"
        EMAIL = "email"

    account = models.ForeignKey(
        "tenant_services.TenantAccount", models.CASCADE, related_name="changes"
    )
    kind = models.CharField(max_length=20, choices=Kind.choices)
    value = models.CharField(max_length=200)
    asked_at = models.DateTimeField()

    class Meta:
        """One of each kind at a time."""

        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "kind"], name="one_change_of_a_kind"),
        ]

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"change {self.pk}"

    @property
    def asker(self) -> str:
        """The account."""
        return f"account {self.account_id}"

    @property
    def contacts(self) -> dict[str, str]:
        """The new one."""
        return {"value": self.value}
