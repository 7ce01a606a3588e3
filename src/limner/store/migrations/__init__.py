"""The steps by which a database gets from one version's tables to the next."""
