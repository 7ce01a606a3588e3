"""The web studio: pages of the service for people who type no commands."""
