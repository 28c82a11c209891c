"""The to-dos: their list, and each from its claimant to its submission.

What is typed is kept in the to-do's row, for each user apart, until somebody submits it; a to-do
is read, judged and submitted under a lock on that row, so it is done once.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any

from demo_portal import clock
from design.forms import Form
from design.views import FormPage, ShowMoreView
from django import forms
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.generic import TemplateView

from automation_rules import Role, TodoKind

from ..models import TODO_NAMES, FormVersion, ToDo
from ..roles import GuardedView
from .forms import PAGES, YES, Walk, fingerprint, walk

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpResponse, HttpResponseBase

    from ..models import Tenancy
    from .forms import Page, PageForm

CHANGED = "change"
"""The part of an address that leads from the list of answers to a page and back to the list."""


def questions(kind: TodoKind) -> list[dict[str, Any]]:
    """Return the questions that published changes have added to a form by today."""
    version = FormVersion.in_force(kind, clock.today())
    return version.fields if version else []


def form_fingerprint(kind: TodoKind) -> str:
    """Return the fingerprint of a form as it is today."""
    return fingerprint(kind, questions(kind))


class TodoList(GuardedView, ShowMoreView):
    """The to-dos that wait, of one kind or of all."""

    role = Role.COMPLETE_TODOS
    template_name = "landlord_portal/todos/list.html"

    @property
    def kind(self) -> str:
        """The kind asked for; empty is every kind."""
        asked: str = self.request.GET.get("kind", "")
        return asked if asked in {kind.value for kind in TODO_NAMES} else ""

    def get_queryset(self) -> QuerySet[ToDo]:
        """Return the landlord's own that are not done."""
        found = ToDo.objects.of(self.request.user).filter(state=ToDo.State.OPEN)
        if self.kind:
            found = found.filter(kind=self.kind)
        return found.select_related("tenancy__claimant", "tenancy__home")

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add the kinds to choose from."""
        kinds = [(kind.value, name) for kind, name in TODO_NAMES.items()]
        return super().get_context_data(**named) | {"kind": self.kind, "kinds": kinds}


class AboutTodo(GuardedView):
    """A page about one of the landlord's to-dos that waits."""

    role = Role.COMPLETE_TODOS
    todo: ToDo
    kwargs: dict[str, Any]

    def dispatch(self, request: Any, *args: Any, **named: Any) -> HttpResponseBase:
        """Find the to-do, and let nobody else change it while an answer is taken in."""
        if not self.may_enter(request.user):
            raise PermissionDenied
        found = ToDo.objects.of(request.user).select_related(
            "tenancy__claimant", "tenancy__second_claimant", "tenancy__home"
        )
        changes = request.method == "POST"
        if changes:
            found = found.select_for_update(of=("self",))
        with transaction.atomic() if changes else nullcontext():
            self.todo = get_object_or_404(found, pk=named["pk"])
            if self.todo.state == ToDo.State.DONE:
                return redirect("todo_done", pk=self.todo.pk)
            return super().dispatch(request, *args, **named)

    @property
    def user_key(self) -> str:
        """The user's part of the answers that are kept."""
        return str(self.request.user.pk)

    @cached_property
    def typed(self) -> dict[str, dict[str, Any]]:
        """What this user typed so far, page by page."""
        typed: dict[str, dict[str, Any]] = self.todo.answers.get(self.user_key, {})
        return typed

    @cached_property
    def walk(self) -> Walk:
        """How far that holds."""
        kind = self.todo.todo_kind
        return walk(kind, self.typed, clock.today(), questions(kind))

    def address(self, slug: str) -> str:
        """Return the address of a page of this to-do."""
        return reverse("todo_page", kwargs={"pk": self.todo.pk, "slug": slug})

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add the to-do and its form's fingerprint."""
        made: dict[str, Any] = super().get_context_data(**named)  # type: ignore[misc]
        return made | {
            "todo": self.todo,
            "form_fingerprint": form_fingerprint(self.todo.todo_kind),
        }


class TodoStart(AboutTodo, TemplateView):
    """Whom a to-do is about."""

    template_name = "landlord_portal/todos/start.html"

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Lead to the first page."""
        first = PAGES[self.todo.todo_kind][0]
        return super().get_context_data(**named) | {"first": self.address(first.slug)}


class TodoPage(AboutTodo, FormPage):
    """A page of questions. Pages that the answers before do not lead to lead back to those."""

    template_name = "landlord_portal/todos/page.html"
    page: Page
    kept: PageForm

    def get(self, request: Any, *args: Any, **named: Any) -> HttpResponse:
        """Show the page, with what was typed into it."""
        return self.find() or super().get(request, *args, **named)

    def post(self, request: Any, *args: Any, **named: Any) -> HttpResponse:
        """Take the answers in."""
        return self.find() or super().post(request, *args, **named)

    def find(self) -> HttpResponse | None:
        """Find the page, or the way to the one that comes before it."""
        slug = self.kwargs["slug"]
        if slug not in {page.slug for page in PAGES[self.todo.todo_kind]}:
            raise Http404
        for page, form in self.walk.reached:
            if page.slug == slug:
                self.page, self.kept, self.heading = page, form, page.heading
                return None
        return redirect(self.address(self.walk.reached[-1][0].slug))

    def get_form(self, _form_class: Any = None) -> PageForm:
        """Return the page's form with what is sent, or what was kept."""
        if self.request.method != "POST":
            return self.kept
        return self.page.form(
            self.request.POST,
            today=self.kept.today,
            earlier=self.kept.earlier,
            extra=self.kept.extra,
        )

    def form_valid(self, form: Any) -> HttpResponse:
        """Keep what was typed, and go on."""
        self.typed = self.typed | {self.page.slug: form.typed()}
        self.todo.answers[self.user_key] = self.typed
        self.todo.save(update_fields=["answers"])
        del self.walk
        return redirect(self.next_address())

    def next_address(self) -> str:
        """Return the address of the page that comes next, or of the list of answers."""
        slugs = [page.slug for page, _form in self.walk.reached]
        after = slugs[slugs.index(self.page.slug) + 1 :]
        if after and CHANGED not in self.request.GET:
            return self.address(after[0])
        return reverse("todo_check", kwargs={"pk": self.todo.pk})

    def get_back(self) -> str:
        """Lead to the page before, or to where the user came from to change an answer."""
        if CHANGED in self.request.GET:
            return reverse("todo_check", kwargs={"pk": self.todo.pk})
        slugs = [page.slug for page, _form in self.walk.reached]
        before = slugs[: slugs.index(self.page.slug)]
        if before:
            return self.address(before[-1])
        return reverse("todo", kwargs={"pk": self.todo.pk})


class DigestForm(Form):
    """What the list of answers came to when it was shown."""

    digest = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, digest: str, **named: Any) -> None:
        """Know what it comes to now."""
        super().__init__(*args, **named)
        self.now = digest

    def clean(self) -> None:
        """Refuse to submit what the user has not seen."""
        if self.cleaned_data.get("digest") != self.now:
            self.add_error(
                None,
                _("The answers or the form have changed. Check the answers again, then submit"),
            )


class CheckAnswers(AboutTodo, FormPage):
    """The list of answers, from which the to-do is submitted."""

    template_name = "landlord_portal/todos/check.html"
    form_class = DigestForm
    heading = _("Check your answers")
    button = _("Submit")

    def get(self, request: Any, *args: Any, **named: Any) -> HttpResponse:
        """Show the answers."""
        return self.find() or super().get(request, *args, **named)

    def post(self, request: Any, *args: Any, **named: Any) -> HttpResponse:
        """Submit them."""
        return self.find() or super().post(request, *args, **named)

    def find(self) -> HttpResponse | None:
        """Find the way to the first page that still needs an answer."""
        if self.walk.complete:
            return None
        return redirect(self.address(self.walk.reached[-1][0].slug))

    @cached_property
    def document(self) -> dict[str, Any]:
        """What would be submitted."""
        return {
            "answers": self.walk.document(),
            "form_fingerprint": form_fingerprint(self.todo.todo_kind),
        }

    def get_form_kwargs(self) -> dict[str, Any]:
        """Give the form what the answers come to."""
        text = json.dumps(self.document, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return super().get_form_kwargs() | {"digest": digest}

    def get_back(self) -> str:
        """Lead to the last page."""
        return self.address(self.walk.reached[-1][0].slug)

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add the answers, each with the way to change it, and what they come to in a month."""
        rows = [
            (question, text, f"{self.address(page.slug)}?{CHANGED}=1")
            for page, form in self.walk.reached
            for question, text in form.rows()
        ]
        return super().get_context_data(**named) | {"rows": rows, "monthly": self.walk.monthly}

    def form_valid(self, form: Any) -> HttpResponse:
        """Submit the to-do, and keep what the landlord has confirmed of the tenancy."""
        del form
        todo, answers = self.todo, self.walk.answers
        todo.state, todo.submission, todo.answers = ToDo.State.DONE, self.document, {}
        todo.done_by, todo.done_at = self.request.user, clock.now()
        todo.save(update_fields=["state", "submission", "answers", "done_by", "done_at"])
        if answers["is_tenant"] == YES:
            confirm(todo.tenancy, answers)
        return redirect("todo_done", pk=todo.pk)


def confirm(tenancy: Tenancy, answers: dict[str, Any]) -> None:
    """Keep what the landlord has confirmed; a reference stays where none was asked for."""
    tenancy.reference = answers.get("tenant_reference") or tenancy.reference
    for name in ("rent", "rent_frequency", "service_charge", "service_charge_frequency"):
        value = answers[name]
        setattr(tenancy, name, "" if value is None else value)
    tenancy.save()


class TodoDone(GuardedView, TemplateView):
    """That a to-do is done; to whoever submitted it, that their answers were taken."""

    role = Role.COMPLETE_TODOS
    template_name = "landlord_portal/todos/done.html"

    def get(self, request: Any, *args: Any, **named: Any) -> HttpResponse:
        """Say so, unless it waits."""
        self.todo = get_object_or_404(ToDo.objects.of(request.user), pk=named["pk"])
        if self.todo.state == ToDo.State.OPEN:
            return redirect("todo", pk=self.todo.pk)
        return super().get(request, *args, **named)

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add the to-do, and whether it was this user who submitted it."""
        mine = self.todo.done_by_id == self.request.user.pk
        return super().get_context_data(**named) | {"todo": self.todo, "mine": mine}
