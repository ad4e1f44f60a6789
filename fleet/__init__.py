"""fleet: GitOps for ordinary servers, over SSH and without an agent."""

__version__ = "0.1.0"
