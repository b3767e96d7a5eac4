"""docs/explanation/clients.md: the results of the exam of real clients, which `make clients` publishes."""
