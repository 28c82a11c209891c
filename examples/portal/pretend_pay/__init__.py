"""A payment provider that moves no money: GOV.UK Pay's published API, and pages for payers.

It behaves as openapi/publicapi_spec.json of github.com/alphagov/pay-publicapi says. The portal's
tour pays with it, and its tests make it fail in every way that a provider can.
"""

from .payments import Fault, Payment, PretendPay, Refund
from .server import Running, running

__all__ = ["Fault", "Payment", "PretendPay", "Refund", "Running", "running"]
