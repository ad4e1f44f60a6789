"""fleet: GitOps for ordinary servers and for devices behind HTTP APIs."""

__version__ = "0.1.0"
