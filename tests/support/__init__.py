"""What tests share: waiting for facts, names that nobody else uses, a broker. Nothing here is
imported by the product.
"""

from tests.support.eventually import eventually

__all__ = ["eventually"]
