"""The database and the stored files. Only this package uses SQL; import single modules, as SQLAlchemy loads slowly."""
