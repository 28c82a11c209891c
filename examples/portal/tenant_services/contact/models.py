"""What the pillar 'Contact' keeps: what tenants and staff write to each other, and notices.

``once`` is a hash of what was sent, by which the same sent twice is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _
from landlord_portal.models import InBothLanguages

if TYPE_CHECKING:
    from datetime import datetime

_ACCOUNT = "tenant_services.TenantAccount"
_STAFF = "tenant_services.StaffAccount"
REFERENCE = 8
LONGEST = 5000
"""How many characters a text may have."""


class Chat(models.Model):
    """A conversation that goes on while both sides are there, at the latest until ``closes_at``."""

    account = models.ForeignKey(_ACCOUNT, models.CASCADE, related_name="chats")
    reference = models.CharField(max_length=REFERENCE, unique=True)
    began_at = models.DateTimeField()
    closes_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        """The one that waits longest first, and one at a time."""

        ordering: ClassVar = ["began_at", "pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account"], condition=models.Q(ended_at=None), name="one_chat_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"chat {self.pk}"

    def goes_on(self, at: datetime) -> bool:
        """Whether something can still be written."""
        return self.ended_at is None and at < self.closes_at


class ChatLine(models.Model):
    """Something that was written in a chat, by one of the staff or else by the tenant."""

    chat = models.ForeignKey(Chat, models.CASCADE, related_name="lines")
    staff = models.ForeignKey(_STAFF, models.PROTECT, null=True, related_name="+")
    text = models.TextField()
    written_at = models.DateTimeField()
    once = models.CharField(max_length=64)

    class Meta:
        """As they were written."""

        ordering: ClassVar = ["written_at", "pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["chat", "once"], name="chat_line_once"),
        ]

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"chat line {self.pk}"


class AtChat(models.Model):
    """That one of the staff answers chats, until ``until``."""

    staff = models.OneToOneField(_STAFF, models.CASCADE, related_name="at_chat")
    until = models.DateTimeField()

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"at chat {self.pk}"


class Enquiry(models.Model):
    """A message of a tenant's. ``topic`` is of the guide; ``tenancy`` may be empty.

    ``chat`` is the conversation that it goes on from, if there was one.
    """

    account = models.ForeignKey(_ACCOUNT, models.CASCADE, related_name="enquiries")
    reference = models.CharField(max_length=REFERENCE, unique=True)
    topic = models.CharField(max_length=40)
    tenancy = models.CharField(max_length=50)
    text = models.TextField()
    chat = models.OneToOneField(Chat, models.PROTECT, null=True, related_name="enquiry")
    sent_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    once = models.CharField(max_length=64)

    class Meta:
        """Newest first."""

        ordering: ClassVar = ["-sent_at", "-pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "once"], name="enquiry_once"),
        ]

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"enquiry {self.pk}"

    @property
    def status(self) -> str:
        """Where it stands: ``received``, ``answered`` or ``closed``."""
        if self.closed_at is not None:
            return "closed"
        return "answered" if self.answers.all() else "received"

    @property
    def status_name(self) -> str:
        """The same in the language in use."""
        return str(STATUSES[self.status])


STATUSES = {"received": _("Received"), "answered": _("Answered"), "closed": _("Closed")}


class EnquiryAnswer(models.Model):
    """What one of the staff answered."""

    enquiry = models.ForeignKey(Enquiry, models.CASCADE, related_name="answers")
    staff = models.ForeignKey(_STAFF, models.PROTECT, related_name="+")
    text = models.TextField()
    written_at = models.DateTimeField()
    once = models.CharField(max_length=64)

    class Meta:
        """As they were written."""

        ordering: ClassVar = ["written_at", "pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["enquiry", "once"], name="enquiry_answer_once"),
        ]

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"answer {self.pk}"


class CallBack(models.Model):
    """That a tenant would like to be rung at some time, about a topic of the guide."""

    account = models.ForeignKey(_ACCOUNT, models.CASCADE, related_name="call_backs")
    reference = models.CharField(max_length=REFERENCE, unique=True)
    topic = models.CharField(max_length=40)
    number = models.CharField(max_length=30)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    asked_at = models.DateTimeField()
    cancelled_at = models.DateTimeField(null=True)
    called_at = models.DateTimeField(null=True)

    class Meta:
        """By when, and never two at once."""

        ordering: ClassVar = ["starts_at", "asked_at", "pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "starts_at"],
                condition=models.Q(cancelled_at=None, called_at=None),
                name="one_call_at_a_time",
            ),
        ]

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"call-back {self.pk}"


class TenantNotice(InBothLanguages):
    """Something that tenants are told, on every day from ``shown_from`` to ``shown_until``.

    It is for tenancies of ``kinds`` in ``localities``; an empty list means every one. A planned
    downtime has the instants of its closure.
    """

    kinds = models.JSONField(default=list)
    localities = models.JSONField(default=list)
    shown_from = models.DateField()
    shown_until = models.DateField()
    published_at = models.DateTimeField()
    published_by = models.ForeignKey(_STAFF, models.PROTECT, related_name="+")
    withdrawn_at = models.DateTimeField(null=True)
    starts_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    once = models.CharField(max_length=64)
    read_by = models.ManyToManyField(_ACCOUNT, related_name="notices_read")

    class Meta:
        """Newest first. What was withdrawn may be published again."""

        ordering: ClassVar = ["-shown_from", "-published_at", "-pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["once"], condition=models.Q(withdrawn_at=None), name="tenant_notice_once"
            ),
        ]

    def __str__(self) -> str:
        """Which one."""
        return f"notice {self.pk}"
