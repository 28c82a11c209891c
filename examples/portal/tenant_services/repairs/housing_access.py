"""Which jobs are whose, asked at every page."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from django.http import Http404

from ..access import TenantView
from .housing import housing_management

if TYPE_CHECKING:
    from ..profile.customers import Tenancy
    from .housing import Job


class JobView(TenantView):
    """A view of a job, whose number stands in the address.

    It is seen by who rents the home, or a home in the building that it is of. Anybody else's is
    not there, as one that does not exist.
    """

    kwargs: dict[str, str]

    @cached_property
    def job(self) -> Job:
        """The job of the address."""
        job = housing_management().job(self.kwargs["number"])
        if job is None or not self.may_see(job):
            raise Http404
        return job

    def may_see(self, job: Job) -> bool:
        """Whether the page is for the user, as far as the job goes."""
        return self.tenancy_of(job) is not None

    def tenancy_of(self, job: Job) -> Tenancy | None:
        """Return the user's tenancy for which they see a job."""
        for tenancy in self.tenancies:
            if job.tenancy == tenancy.reference or (
                job.building and job.building == tenancy.building and tenancy.ended_on is None
            ):
                return tenancy
        return None

    def is_own(self, job: Job) -> bool:
        """Whether the job is the user's to change: a communal one is its reporter's alone."""
        return not job.building or job.reporter == self.account.person


class OwnJobView(JobView):
    """A view for changing something about a job. One that the user may not change is not there."""

    def may_see(self, job: Job) -> bool:
        """Whether the user may see the job, and change it."""
        return super().may_see(job) and self.is_own(job)
