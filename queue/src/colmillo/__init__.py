"""A task queue in PostgreSQL for asyncio programs."""
