"""Bandwidth Messaging, for SMS and MMS."""
