"""Google's RCS Business Messaging."""
