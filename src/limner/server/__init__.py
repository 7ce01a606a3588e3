"""The service: the studio over HTTP, with workers in processes of their own."""
