"""The HTTP API: the studio as a FastAPI application, served by uvicorn, with workers in their own processes."""
