"""The portal's vocabulary: actions, to-do kinds and roles, as three different types.

The role and the to-do 'Provide tenancy details' share a name, and the role can request
alternative payment arrangements; bare strings must therefore never be compared across types.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

__all__ = [
    "AUTOMATION_ACTIONS",
    "AUTOMATION_ROLE",
    "CODE_EXEMPT_ACTIONS",
    "HOUSING_COST_KINDS",
    "TODO_ACTIONS",
    "Action",
    "Role",
    "TodoKind",
]


class Role(Enum):
    """A role that a Landlord Portal account can hold."""

    COMPLETE_TODOS = "complete_todos"
    MANAGE_USERS = "manage_users"
    PROVIDE_TENANCY_DETAILS = "provide_tenancy_details"
    ADD_OR_REMOVE_PROPERTIES = "add_or_remove_properties"
    VIEW_PAYMENTS = "view_payments"
    EXPORT_PAYMENTS = "export_payments"


class TodoKind(Enum):
    """A kind of to-do."""

    PROVIDE_TENANCY_DETAILS = "provide_tenancy_details"
    CONFIRM_HOUSING_COSTS = "confirm_housing_costs"
    OTHER = "other"


class Action(Enum):
    """Something that can be done in the portal."""

    SIGN_IN = "sign_in"
    ENTER_ACCESS_CODE = "enter_access_code"
    SIGN_OUT = "sign_out"
    VIEW_UPDATES = "view_updates"
    LIST_TODOS = "list_todos"
    OPEN_TODO = "open_todo"
    SAVE_ANSWERS = "save_answers"
    SUBMIT_TODO = "submit_todo"
    REQUEST_APA = "request_apa"
    REQUEST_ARREARS_DEDUCTION = "request_arrears_deduction"
    REQUEST_MORE_FREQUENT_PAYMENTS = "request_more_frequent_payments"
    CHANGE_TENANT_REFERENCE = "change_tenant_reference"
    VIEW_PAYMENTS = "view_payments"
    EXPORT_PAYMENTS = "export_payments"
    ADD_PROPERTY = "add_property"
    REMOVE_PROPERTY = "remove_property"
    MANAGE_USERS = "manage_users"
    CREATE_ACCOUNT = "create_account"
    CHANGE_ROLES = "change_roles"
    VIEW_TENANT = "view_tenant"
    REPORT_REPAIR = "report_repair"
    PAY_RENT = "pay_rent"


TODO_ACTIONS: Final = frozenset({Action.OPEN_TODO, Action.SAVE_ANSWERS, Action.SUBMIT_TODO})
"""The actions that work on one to-do."""

AUTOMATION_ACTIONS: Final = TODO_ACTIONS | {
    Action.SIGN_IN,
    Action.ENTER_ACCESS_CODE,
    Action.SIGN_OUT,
    Action.VIEW_UPDATES,
    Action.LIST_TODOS,
}
"""The only actions that automation may take (clause ``terms.housing-costs-only``)."""

CODE_EXEMPT_ACTIONS: Final = frozenset({Action.SIGN_IN, Action.SIGN_OUT})
"""Before the access code exists, and when leaving: no code is asked for."""

HOUSING_COST_KINDS: Final = frozenset(
    {TodoKind.PROVIDE_TENANCY_DETAILS, TodoKind.CONFIRM_HOUSING_COSTS}
)
"""The to-dos by which housing costs are confirmed."""

AUTOMATION_ROLE: Final = Role.COMPLETE_TODOS
"""The only role of an automation account (clauses ``step-2.role``, ``terms.role``)."""
