"""The one-off step before anything sensitive, built once for every such service of the council's.

A service names the questions that only the right person can answer. Whoever answers them all
gets a `Proof`, which holds from then on; pages that are a `SensitiveService` show themselves to
accounts with a proof, and lead the others to the questions first. Which answer was wrong is not
said. Wrong answers are counted for the account and for what it claimed to be, so that neither one
account nor many together can go on guessing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from demo_portal import clock
from demo_portal.records import RecordsUnavailableError
from demo_portal.tries import digest, give_back, use_try
from design.forms import Form
from design.views import FormPage, RecordsView
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from landlord_portal.roles import GuardedView

from .models import Proof
from .navigation import serves

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse, HttpResponseBase
    from landlord_portal.models import User

    from .models import CouncilAccount

TRIES_OF_ACCOUNT = 5
TRIES_AT_REFERENCE = 10


class Questions(Form):
    """What a service asks. A subclass has the fields and these two."""

    def claimed(self) -> str:
        """Return the reference that the answers claim to be."""
        raise NotImplementedError

    def are_right(self) -> bool:
        """Whether every answer is what the council's own records say at this moment."""
        raise NotImplementedError


@dataclass(frozen=True)
class Service:
    """A sensitive service: ``slug`` is kept with proofs, ``home`` and ``prove`` name addresses."""

    slug: str
    questions: type[Questions]
    home: str
    prove: str


class CouncilView(RecordsView, GuardedView):
    """A view for people who have an account of the council's."""

    def may_enter(self, user: User) -> bool:
        """Whether the page is for ``user``."""
        return serves(user)

    @property
    def account(self) -> CouncilAccount:
        """The user's account."""
        account: CouncilAccount = self.request.user.council_account
        return account


class _Proved:
    """What `SensitiveService` does once it is known that the user has an account."""

    service: Service
    kwargs: dict[str, Any]

    def dispatch(self, request: HttpRequest, *args: Any, **named: Any) -> HttpResponseBase:
        """Answer who proved something, and about that alone; lead others to the questions."""
        if not self.proofs().exists():
            query = urlencode({"next": request.path})
            return redirect(f"{reverse(self.service.prove)}?{query}")
        if "proof" in self.kwargs:
            self.reference = get_object_or_404(self.proofs(), pk=self.kwargs["proof"]).reference
        return super().dispatch(request, *args, **named)  # type: ignore[misc, no-any-return]

    def proofs(self) -> QuerySet[Proof]:
        """Return what the account proved for the service."""
        account: CouncilAccount = self.account  # type: ignore[attr-defined]
        return account.proofs.filter(service=self.service.slug)


class SensitiveService(CouncilView, _Proved):
    """A page of ``service``. A ``proof`` in its address is the account's own, or is not there.

    ``reference`` is what that proof is of.
    """


class Prove(CouncilView, FormPage):
    """The questions of ``service``."""

    service: Service = None  # type: ignore[assignment]
    template_name = "council_payments/prove.html"
    heading = _("Prove that you are the landlord")
    success = _("The creditor reference was added to your account")

    def get_form_class(self) -> type[Questions]:
        """Ask what the service asks."""
        return self.service.questions

    def get_success_url(self) -> str:
        """Go on to where the user was led from, never to another site."""
        target = self.request.GET.get("next", "")
        safe = url_has_allowed_host_and_scheme(
            target, {self.request.get_host()}, self.request.is_secure()
        )
        return target if safe else reverse(self.service.home)

    def get_back(self) -> str:
        """Return the service's address, unless it would only lead here again."""
        proved = self.account.proofs.filter(service=self.service.slug).exists()
        return reverse(self.service.home) if proved else ""

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add how many tries there are."""
        return super().get_context_data(**named) | {"tries": TRIES_OF_ACCOUNT}

    def form_valid(self, form: Questions) -> HttpResponse:
        """Keep the proof, or say that something was wrong."""
        claimed = form.claimed()
        with_account = f"{self.service.slug}:account:{self.account.pk}"
        at_reference = f"{self.service.slug}:{digest(claimed)}"
        if not use_try(with_account, TRIES_OF_ACCOUNT):
            return self._locked()
        if not use_try(at_reference, TRIES_AT_REFERENCE):
            give_back(with_account)
            return self._locked()
        try:
            right = form.are_right()
        except RecordsUnavailableError:
            give_back(with_account, at_reference)
            raise
        if not right:
            form.add_error(None, gettext("What you entered does not match the council's records"))
            return self.form_invalid(form)
        give_back(with_account, at_reference)
        Proof.objects.get_or_create(
            account=self.account,
            service=self.service.slug,
            reference=claimed,
            defaults={"proved_at": clock.now()},
        )
        return super().form_valid(form)

    def _locked(self) -> HttpResponse:
        said = {
            "heading": gettext("Too many wrong answers"),
            "text": gettext("Wait 24 hours before you try again."),
        }
        return render(self.request, "design/problem.html", said, status=429)
