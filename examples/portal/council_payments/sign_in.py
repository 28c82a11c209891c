"""Signing in to the council's site: as to the Landlord Portal, with accounts of its own."""

from landlord_portal.sign_in import SignIn


class CouncilSignIn(SignIn):
    """Password and access code."""

    landing = "council"
    welcome_back = "council_welcome_back"
