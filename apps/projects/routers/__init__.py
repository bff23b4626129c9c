"""The register's endpoints."""
