"""A landlord's bot: does the to-dos of the reference portal, and asks before each step."""
