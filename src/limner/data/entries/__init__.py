"""What lies in folders, archives and tables, and what is told beside it."""
