"""Tenant self-service: profile, payments, repairs and contact."""
