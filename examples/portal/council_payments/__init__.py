"""The council's payments to landlords, behind a sign-in of their own."""
