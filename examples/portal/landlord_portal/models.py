"""What the portal keeps. Every record of a landlord's is reached through ``of(user)`` alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from django_otp.models import Device

from automation_rules import Role, TodoKind

if TYPE_CHECKING:
    from datetime import date

ROLE_NAMES = {
    Role.MANAGE_USERS: "Manage users",
    Role.COMPLETE_TODOS: "Complete to-dos",
    Role.PROVIDE_TENANCY_DETAILS: "Provide tenancy details",
    Role.ADD_OR_REMOVE_PROPERTIES: "Add or remove properties",
    Role.VIEW_PAYMENTS: "View payments",
    Role.EXPORT_PAYMENTS: "Export payments",
}
"""The portal's own names, in English in both languages."""

TODO_NAMES = {
    TodoKind.PROVIDE_TENANCY_DETAILS: "Provide tenancy details",
    TodoKind.CONFIRM_HOUSING_COSTS: "Confirm tenant's housing costs",
}
"""The portal's own names, in English in both languages."""

_KINDS_OF_TODO = [(kind.value, name) for kind, name in TODO_NAMES.items()]
_MONEY: dict[str, Any] = {"max_digits": 9, "decimal_places": 2}


class Frequency(models.TextChoices):
    """How often rent or a service charge is due. The full list is this demonstration's own."""

    WEEKLY = "weekly", _("Weekly")
    FORTNIGHTLY = "fortnightly", _("Every 2 weeks")
    FOUR_WEEKLY = "four_weekly", _("Every 4 weeks")
    MONTHLY = "monthly", _("Monthly")


class OwnedQuerySet(models.QuerySet[Any]):
    """Records that belong to a landlord, directly or by way of ``owner_path``."""

    def of(self, user: User) -> Self:
        """Return only what belongs to the user's landlord; nothing for who has none."""
        path: str = getattr(self.model, "owner_path", "landlord_id")
        return self.none() if user.landlord_id is None else self.filter(**{path: user.landlord_id})


class Landlord(models.Model):
    """A social landlord; its id is the one that the rules' registry knows it by."""

    id = models.CharField(primary_key=True, max_length=200)
    name = models.CharField(max_length=200)

    def __str__(self) -> str:
        """The landlord's name."""
        return self.name


class UserManager(BaseUserManager["User"]):
    """Makes users whose passwords are kept hashed."""

    def create_user(self, username: str, password: str, **fields: Any) -> User:
        """Make a user."""
        user = self.model(username=username, **fields)
        user.set_password(password)
        user.full_clean()
        user.save()
        return user


class User(AbstractBaseUser):
    """Someone, or a bot, that signs in.

    ``registry_id`` is what the rules' registry calls the same person or automation account.
    ``roles`` are values of `automation_rules.Role`. The last two are not published roles:
    ``is_administrator`` runs the portal and belongs to no landlord; ``is_compliance_officer``
    reads the landlord's decision log and can pause its automation.
    """

    class Kind(models.TextChoices):
        """Whether it is a person."""

        PERSON = "person", _("Person")
        AUTOMATION = "automation", _("Automation")

    username = models.CharField(max_length=200, unique=True)
    full_name = models.CharField(max_length=200)
    email = models.EmailField()
    kind = models.CharField(max_length=20, choices=Kind.choices, default=Kind.PERSON)
    landlord = models.ForeignKey(
        Landlord, models.PROTECT, null=True, blank=True, related_name="users"
    )
    registry_id = models.CharField(max_length=200, unique=True, null=True, blank=True)
    roles = models.JSONField(default=list, blank=True)
    is_active = models.BooleanField(default=True)
    is_administrator = models.BooleanField(default=False)
    is_compliance_officer = models.BooleanField(default=False)

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["email"]
    objects = UserManager.from_queryset(OwnedQuerySet)()

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"user {self.pk}"

    @property
    def is_automation(self) -> bool:
        """Whether a bot uses the account."""
        return self.kind == self.Kind.AUTOMATION

    @property
    def account_id(self) -> str | None:
        """The automation account that the registry knows, if it is one."""
        return self.registry_id if self.is_automation else None

    @property
    def role_set(self) -> frozenset[Role]:
        """The roles that the user holds."""
        return frozenset(Role(role) for role in self.roles)

    @property
    def role_names(self) -> list[str]:
        """What the portal calls the roles that the user holds, in its order."""
        return [name for role, name in ROLE_NAMES.items() if role in self.role_set]

    def has_role(self, role: Role) -> bool:
        """Whether the user holds ``role``."""
        return role in self.role_set


class Phone(Device):
    """Where a user's access codes go. ``holder`` is the person who has it in hand."""

    number = models.CharField(max_length=30)
    holder = models.ForeignKey(User, models.PROTECT, related_name="phones_held")

    def generate_challenge(self) -> None:
        """Send a fresh code, unless the account is locked for today."""
        from . import codes

        codes.send(self)

    def verify_token(self, token: str) -> bool:
        """Use up ``token``; whether it let the user in."""
        from . import codes

        return codes.try_code(self, token) is None


class InBothLanguages(models.Model):
    """Something to be read, in English and in Welsh."""

    title_en = models.CharField(max_length=200)
    title_cy = models.CharField(max_length=200)
    body_en = models.TextField()
    body_cy = models.TextField()

    class Meta:
        """No table of its own."""

        abstract = True

    @property
    def title(self) -> str:
        """The title in the language in use."""
        return self.title_cy if get_language() == "cy" else self.title_en

    @property
    def body(self) -> str:
        """The text in the language in use."""
        return self.body_cy if get_language() == "cy" else self.body_en


class Notice(InBothLanguages):
    """An entry of the tab 'Updates'."""

    release = models.CharField(max_length=20, unique=True)
    published_at = models.DateTimeField()
    effective_on = models.DateField()
    affects_automation = models.BooleanField(default=False)
    read_by: models.ManyToManyField[User, NoticeRead] = models.ManyToManyField(
        User, through="NoticeRead", related_name="notices_read"
    )

    class Meta:
        """Newest first."""

        ordering: ClassVar = ["-published_at", "-pk"]

    def __str__(self) -> str:
        """The release number."""
        return self.release


class NoticeRead(models.Model):
    """That a user has read a notice."""

    notice = models.ForeignKey(Notice, models.CASCADE)
    user = models.ForeignKey(User, models.CASCADE)

    class Meta:
        """Once."""

        constraints: ClassVar = [
            models.UniqueConstraint(fields=["notice", "user"], name="read_once"),
        ]

    def __str__(self) -> str:
        """Which notice."""
        return str(self.notice_id)


class Tenant(models.Model):
    """A claimant of Universal Credit."""

    name = models.CharField(max_length=200)
    born_on = models.DateField()

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"tenant {self.pk}"


class Property(models.Model):
    """A home that a landlord lets."""

    landlord = models.ForeignKey(Landlord, models.PROTECT, related_name="properties")
    address = models.CharField(max_length=300)
    town = models.CharField(max_length=100)
    postcode = models.CharField(max_length=10)
    objects = OwnedQuerySet.as_manager()

    class Meta:
        """By address."""

        ordering: ClassVar = ["address", "pk"]

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"property {self.pk}"

    @property
    def lines(self) -> list[str]:
        """The address as it is written on an envelope."""
        return [*self.address.split(", "), self.town, self.postcode]


class Tenancy(models.Model):
    """Who claims for which home since when, and what the landlord last confirmed.

    ``claimant`` and, for a couple, ``second_claimant`` are shown with the property's address
    and the date of the claim. What is not known yet is null.
    """

    landlord = models.ForeignKey(Landlord, models.PROTECT, related_name="tenancies")
    home = models.ForeignKey(Property, models.PROTECT, related_name="tenancies")
    claimant = models.ForeignKey(Tenant, models.PROTECT, related_name="tenancies")
    second_claimant = models.ForeignKey(
        Tenant, models.PROTECT, null=True, blank=True, related_name="joint_tenancies"
    )
    claimed_on = models.DateField()
    reference = models.CharField(max_length=50, blank=True)
    rent = models.DecimalField(**_MONEY, null=True, blank=True)
    rent_frequency = models.CharField(max_length=20, choices=Frequency.choices, blank=True)
    service_charge = models.DecimalField(**_MONEY, null=True, blank=True)
    service_charge_frequency = models.CharField(
        max_length=20, choices=Frequency.choices, blank=True
    )
    objects = OwnedQuerySet.as_manager()

    class Meta:
        """By claim."""

        ordering: ClassVar = ["claimed_on", "pk"]

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"tenancy {self.pk}"


class ToDo(models.Model):
    """Something that the landlord is asked to confirm.

    ``answers`` are kept while somebody is at it; ``submission`` is what was sent, once. A to-do
    is done by changing exactly one row of those that are still open.
    """

    class State(models.TextChoices):
        """Whether it still waits."""

        OPEN = "open", _("To do")
        DONE = "done", _("Done")

    owner_path = "tenancy__landlord_id"

    tenancy = models.ForeignKey(Tenancy, models.PROTECT, related_name="todos")
    kind = models.CharField(max_length=40, choices=_KINDS_OF_TODO)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    created_on = models.DateField()
    due_on = models.DateField()
    answers = models.JSONField(default=dict, blank=True)
    submission = models.JSONField(null=True, blank=True)
    done_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="todos_done"
    )
    done_at = models.DateTimeField(null=True, blank=True)
    objects = OwnedQuerySet.as_manager()

    class Meta:
        """What is due first."""

        ordering: ClassVar = ["due_on", "pk"]
        indexes: ClassVar = [models.Index(fields=["state", "due_on"])]

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"to-do {self.pk}"

    @property
    def todo_kind(self) -> TodoKind:
        """The kind, as the rules know it."""
        return TodoKind(self.kind)

    @property
    def name(self) -> str:
        """What the portal calls it, in English in both languages."""
        return TODO_NAMES[self.todo_kind]


class FormVersion(models.Model):
    """A change of a to-do's fields, in force from a day on.

    ``fields`` are the questions that the version adds to the form as it was made, each
    ``{"page", "name", "type", "label_en", "label_cy", "required"}``, ``type`` being ``text``,
    ``money`` or ``yes_no``. ``fingerprint`` is that of the whole form with them.
    """

    kind = models.CharField(max_length=40, choices=_KINDS_OF_TODO)
    fields = models.JSONField(default=list)
    fingerprint = models.CharField(max_length=100)
    effective_on = models.DateField()
    notice = models.ForeignKey(
        Notice, models.PROTECT, null=True, blank=True, related_name="form_versions"
    )

    class Meta:
        """Newest last."""

        ordering: ClassVar = ["effective_on", "pk"]

    def __str__(self) -> str:
        """Which form, from when."""
        return f"{self.kind} from {self.effective_on}"

    @classmethod
    def in_force(cls, kind: TodoKind, day: date) -> FormVersion | None:
        """Return the version that holds on ``day``, or None for the form as it was made."""
        return cls.objects.filter(kind=kind.value, effective_on__lte=day).last()


class HousingRequest(models.Model):
    """What a person may ask for and automation never may (clause ``terms.no-other-functions``)."""

    class Kind(models.TextChoices):
        """What is asked for."""

        APA = "request_apa", _("Alternative payment arrangement")
        ARREARS = "request_arrears_deduction", _("Deduction for rent arrears")
        FREQUENT = "request_more_frequent_payments", _("More frequent payments")

    owner_path = "tenancy__landlord_id"

    tenancy = models.ForeignKey(Tenancy, models.PROTECT, related_name="requests")
    kind = models.CharField(max_length=40, choices=Kind.choices)
    reason = models.TextField()
    arrears = models.DecimalField(**_MONEY, null=True, blank=True)
    made_by = models.ForeignKey(User, models.PROTECT, related_name="requests_made")
    made_at = models.DateTimeField()
    objects = OwnedQuerySet.as_manager()

    class Meta:
        """Newest first."""

        ordering: ClassVar = ["-made_at", "-pk"]

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"request {self.pk}"


class Payment(models.Model):
    """A payment of housing costs, or towards arrears, to the landlord."""

    class Kind(models.TextChoices):
        """What it is for."""

        HOUSING = "housing", _("Housing costs")
        ARREARS = "arrears", _("Rent arrears")

    owner_path = "tenancy__landlord_id"

    tenancy = models.ForeignKey(Tenancy, models.PROTECT, related_name="payments")
    kind = models.CharField(max_length=20, choices=Kind.choices, default=Kind.HOUSING)
    amount = models.DecimalField(**_MONEY)
    paid_on = models.DateField()
    period_from = models.DateField()
    period_to = models.DateField()
    objects = OwnedQuerySet.as_manager()

    class Meta:
        """Newest first."""

        ordering: ClassVar = ["-paid_on", "-pk"]

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"payment {self.pk}"
