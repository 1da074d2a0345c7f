"""What is live, what was live, and who said so, in plain values: facts, the ledger they make, the
book that adds to it.

Nothing here knows of Kafka, protobuf, files, clocks or environment.
"""

from services.registry.domain.book import Book, TermsOf, Unwanted
from services.registry.domain.facts import (
    Candidate,
    Collected,
    Declared,
    Evaluated,
    Fact,
    Finished,
    Marked,
    Opened,
    Quarantined,
    Released,
    Stored,
    Trained,
    Verdict,
    Versioned,
)
from services.registry.domain.garbage import garbage
from services.registry.domain.ledger import Ledger, Run
from services.registry.domain.terms import Terms, changed_parts, terms, terms_of

__all__ = [
    "garbage",
    "Book",
    "Candidate",
    "Declared",
    "Evaluated",
    "Fact",
    "Finished",
    "Ledger",
    "Collected",
    "Marked",
    "Opened",
    "Quarantined",
    "Released",
    "Run",
    "Stored",
    "Terms",
    "TermsOf",
    "Trained",
    "Unwanted",
    "Verdict",
    "Versioned",
    "changed_parts",
    "terms",
    "terms_of",
]
