"""Google Cloud: Firestore, Cloud Tasks and Pub/Sub, each behind its port.

Every call has a deadline and a bounded number of tries, and is awaited before
anyone is answered. Nothing connects at import.
"""
