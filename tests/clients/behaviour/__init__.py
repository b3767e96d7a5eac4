"""What real clients do under the most important faults; `make clients` writes docs/explanation/clients.md."""
