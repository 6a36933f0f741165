"""Authorization for medical billing: who may do what in which physician's account."""

from importlib.metadata import version

__version__ = version("policy-service")
