"""What real clients do under the most important faults; `make clients` writes it to docs/clients.md."""
