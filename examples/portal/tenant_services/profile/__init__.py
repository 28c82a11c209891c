"""The pillar 'Profile': who a tenant is, what they rent, how they are reached."""
