"""One file per revision: frozen once released, and independent of store/schema/models.py."""
