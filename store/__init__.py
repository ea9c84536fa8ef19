"""The record of every run: SQLAlchemy over SQLite or any other database it speaks. Never imports torch."""
