"""The exam of real clients: `make clients` runs it, and publishes docs/explanation/clients.md."""
